-- Select list: class and frequency of charges; a missing one is ''.
ifNull(raw_costs.charge_class, '') AS charge_class,
ifNull(raw_costs.charge_frequency, '') AS charge_frequency
