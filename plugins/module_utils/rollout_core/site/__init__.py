"""The site: its pages, its cowboys, its cron switch."""
