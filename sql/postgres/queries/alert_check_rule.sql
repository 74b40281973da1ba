-- Records up to when a rule was looked for occasions, and where its condition holds.
UPDATE optiinfra.alert_rules SET checked_at = %(at)s, standing = %(standing)s WHERE rule_id = %(rule_id)s
