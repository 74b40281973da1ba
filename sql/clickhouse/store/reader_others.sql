-- All other users see all rows as before; without this policy, a policy for some users may hide all rows from the others.
CREATE ROW POLICY IF NOT EXISTS optiinfra_others ON *
FOR SELECT USING 1 TO ALL EXCEPT optiinfra_reader
