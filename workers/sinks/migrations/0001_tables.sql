-- Copies of topics, one row for each record. Who joins them by charge_id finds each bill once: exactly-once publishing
-- makes no second one. Amounts are micros: millionths of a unit of the currency.

create table tessera.copy (
    only_row boolean primary key default true check (only_row),
    period text not null -- what of the topics is copied; empty: all times
);

create table tessera.positions (
    topic text not null,
    "partition" integer not null,
    next_offset bigint not null check (next_offset >= 0),
    primary key (topic, "partition")
);

create table tessera.charges (
    charge_id text not null,
    query_id text not null,
    auction_id text not null,
    advertiser_id text not null,
    name text not null,
    charge_micros bigint not null check (charge_micros >= 0),
    currency text not null,
    payment_rule text not null,
    tau_micros_per_nat bigint not null,
    link_group text,
    bound_micros bigint not null,
    probability_with double precision not null,
    probability_without double precision not null,
    scored_sha256 text not null,
    settled_sha256 text not null,
    submitted_at timestamptz not null,
    "partition" integer not null,
    "offset" bigint not null,
    taken_at timestamptz not null,
    primary key ("partition", "offset")
);
create index charges_of_an_advertiser on tessera.charges (advertiser_id, taken_at);
create index charges_by_id on tessera.charges (charge_id);

create table tessera.credits (
    credit_id text not null,
    credit_key text not null,
    charge_id text not null,
    charged_sha256 text not null,
    query_id text not null,
    auction_id text not null,
    advertiser_id text not null,
    credit_micros bigint not null check (credit_micros > 0),
    currency text not null,
    reason text not null,
    issued_at timestamptz not null,
    "partition" integer not null,
    "offset" bigint not null,
    taken_at timestamptz not null,
    primary key ("partition", "offset")
);
create index credits_of_an_advertiser on tessera.credits (advertiser_id, taken_at);
create index credits_by_charge on tessera.credits (charge_id);

create table tessera.replies (
    query_id text not null,
    auction_id text not null,
    outcome text not null,
    reply text not null,
    sponsored text not null, -- ids of advertisers, with commas between them
    total_charge_micros bigint not null,
    currency text not null,
    effective_sample_size double precision not null,
    submitted_at timestamptz not null,
    "partition" integer not null,
    "offset" bigint not null,
    taken_at timestamptz not null,
    primary key ("partition", "offset")
);
create index replies_by_query on tessera.replies (query_id);
