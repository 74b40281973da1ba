-- What rules are narrowed to beside accounts: only these services, only these budgets (ids); all if empty.
ALTER TABLE optiinfra.alert_rules
ADD COLUMN services text[] NOT NULL DEFAULT '{}',
ADD COLUMN budgets text[] NOT NULL DEFAULT '{}'
