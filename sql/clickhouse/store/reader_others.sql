-- All others see all rows as before: a policy for some may hide everything from the rest.
CREATE ROW POLICY IF NOT EXISTS optiinfra_others ON *
FOR SELECT USING 1 TO ALL EXCEPT optiinfra_reader
