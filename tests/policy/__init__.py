"""The policy that playbooks, roles, modules, inventories and pages keep, as tests that name file, line and remedy."""
