-- Select list: dimensions of charges that several derived tables have; a missing one is ''.
ifNull(raw_costs.sub_account_id, '') AS sub_account_id,
service_name,
ifNull(raw_costs.region_id, '') AS region_id,
charge_category
