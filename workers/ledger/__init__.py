"""What advertisers owe, from the bills: accounts, postings and corrections. Pure: no clock, no Kafka, no floats."""
