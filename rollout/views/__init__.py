"""What people look at: the live screen, status, the report, incident reports. All computed from plan and journal."""
