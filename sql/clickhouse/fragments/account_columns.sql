-- Select list: the first columns of a cost series.
provider_group AS provider,
account_group AS account
