-- What each advertiser owes: all that it was charged, less what was credited.

create view tessera.balances as
select advertiser_id, currency,
       coalesce(sum(micros) filter (where is_charge), 0) as charged_micros,
       coalesce(-sum(micros) filter (where not is_charge), 0) as credited_micros,
       sum(micros) as balance_micros
from (
    select advertiser_id, currency, charge_micros as micros, true as is_charge from tessera.charges
    union all
    select advertiser_id, currency, -credit_micros, false from tessera.credits
) as entries
group by advertiser_id, currency;
