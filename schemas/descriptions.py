"""What a field means and in which unit, for fields whose model does not say: one name, one meaning, in every schema."""

from collections.abc import Mapping
from typing import Any

from schemas.dead_letter import Header

#: By the field's name, wherever it stands.
MEANINGS = {
    "query_id": "Id of the query, chosen by its producer or made from its place; one reply and one set of bills each.",
    "auction_id": "Id of the auction that the query led to; SHA-256, hexadecimal.",
    "advertiser_id": "Id of the advertiser, as its operator knows it.",
    "name": "Name of the advertiser as users read it.",
    "categories": "What the advertiser sells: words that queries can block.",
    "currency": "ISO 4217 code of all amounts; a micro is a millionth of its unit.",
    "payment_rule": "How the charges follow from the rewards.",
    "payment_rule_version": "Version of that rule; another arithmetic has another number.",
    "probability_with": "Probability of the given reply with everybody's bids, 0 to 1.",
    "probability_without": "Its probability had this party stayed away, 0 to 1.",
    "submitted_at": "When the query was submitted, as its producer says; UTC.",
    "rounding": "How a charge became whole micros: once, half to even.",
    "charge_micros": "What is owed, whole micros of the currency; zero is written too.",
    "charge_id": "Id of the charge: what has it twice is the same charge.",
    "charge_ids": "Ids of all charges of this reply: with them the set is complete.",
    "total_charge_micros": "Sum of the charges, whole micros of the currency.",
    "abstentions": "Advertisers of the query without influence on it, each with its reason.",
    "advertisers": "Who may bid, at most 64.",
    "question": "What was asked.",
    "sampling": "How candidates were drawn.",
    "reason": "Why, by number: schemas/reasons.py; numbers are never reused.",
    "reward_range_micros": "Least and largest reward, micros: what lies outside is clamped; charges are bound by it.",
    "index": "Number of the candidate, from 0.",
    "text": "The text, UTF-8.",
    "token_ids": "Its tokens in the vocabulary of the model.",
    "text_sha256": "SHA-256 of the text in UTF-8, hexadecimal.",
    "tokens": "Its length in tokens.",
    "finished": "Whether the model ended it by itself, before the limit of tokens.",
    "model_sha256": "SHA-256 of the model's weights, hexadecimal.",
    "tokenizer_sha256": "SHA-256 of its tokenizer, hexadecimal.",
    "version": "Version of this shape.",
    "max_tokens": "Longest reply, tokens.",
    "candidates": "The candidate replies.",
    "temperature": "Divides the logits before sampling; no unit, 1 changes nothing.",
    "top_p": "Share of the probability that sampling keeps, 0 to 1.",
    "proposal_prompt_sha256": "SHA-256 of the prompt that candidates were drawn with, hexadecimal.",
    "reference_prompt_sha256": "SHA-256 of the prompt without advertisers, hexadecimal.",
    "scoring_duration_s": "How long scoring took, seconds.",
    "void_reason": "Why no auction could be held, by number: schemas/reasons.py; absent: one was.",
    "gaps": "The best lie found for each party.",
    "largest_gap_micros": "The largest of the gaps, micros.",
    "blocked_categories": "Advertisers of these categories may not bid on this query.",
    "parameters": "What the query asks of the auction itself.",
    "category": "Category of the query, where it states one.",
    "language": "Language of the query, BCP 47, where it states one.",
    "chosen_index": "Number of the candidate that was drawn, from 0.",
    "disclosure": "Sentence for the user: whose bids changed the probability of this reply, from what to what.",
    "draw": "How the reply was drawn, so that it can be drawn again.",
    "effective_sample_size": "On how many candidates the odds rest: (Σ weights)² / Σ weights²; no unit.",
    "outcome": "sold: an auction was held; no_advertisers: nobody took part; void: none could be, nobody pays.",
    "probabilities": "Probability of each candidate, 0 to 1, in their order.",
    "weights": "Weight of each candidate in the draw, whole numbers without a unit, in their order.",
    "reply": "The text for the user, UTF-8.",
    "sponsored": "Whether advertisers took part; the disclosure says what they changed.",
    "sponsors": "Who took part.",
    "algorithm": "Which draw; a change of it has another name.",
    "key_sha256": "SHA-256 of the key that the draw was made with, hexadecimal.",
    "scored_sha256": "SHA-256 of the scored event's value, hexadecimal.",
    "kind": "Whose receipt it is.",
    "advertiser": "What this advertiser brought to the auction.",
    "bill": "What it is billed.",
    "charge": "How its party's charge is worked out.",
    "candidate_count": "How many candidates there were.",
    "log_probabilities_without": "Natural logarithm of each candidate's probability without this party, nats.",
    "before_rounding_micros": "The charge before it is rounded, micros.",
    "link_group": "Advertisers with the same one bid as one party; absent: alone.",
    "value_micros_per_nat": "What a nat of its model's log-probability is worth to it, micros.",
    "declaration": "What it brought to the auction.",
    "source": "Which kind of source.",
    "engine": "The model that the candidates were drawn from.",
    "parties": "Those who bid, each with what it moved and owes.",
    "issued_at": "When it was issued; UTC.",
    "lines": "The charges of the period.",
    "credits": "The credits of the period.",
    "totals": "Sums of the period.",
    "credit_id": "Id of the credit: what has it twice is the same credit.",
    "credited_at": "When the broker took the credit; UTC.",
    "credit_micros": "What is taken back of the charge, whole micros of the currency.",
    "charges": "How many charges.",
    "charged_micros": "Their sum, whole micros of the currency.",
    "credited_micros": "Sum of the credits, whole micros of the currency.",
    "mean_named_with": "Mean probability of a reply that names the advertiser, 0 to 1; absent: not known.",
    "mean_named_without": "The same without its bids, 0 to 1.",
    "members": "The advertisers of the party; the first carries its charge.",
}
#: Where a name alone would say too little, by model and field.
OWN = {
    ("Engine", "name"): "Name of the model.",
    ("Engine", "version"): "Release of what runs it.",
    ("Question", "text"): "What the user asked, UTF-8.",
    ("QuerySubmitted", "text"): "What the user asks, UTF-8.",
    ("Parameters", "candidates"): "How many candidates are drawn; absent: the operator's number.",
    ("Candidate", "text"): "The candidate reply, UTF-8.",
    ("StatementTotals", "credits"): "How many credits.",
    ("AdvertiserCredited", "reason"): "Why it was given, in words.",
    ("StatementCredit", "reason"): "Why it was given, in words.",
    ("DeadLetterHeaders", Header.BATCH_CODEC.value): "Codec of the packed batch that could not be unpacked.",
    ("DeadLetterHeaders", Header.BATCH_LAST_OFFSET.value): "Offset of the last record of that batch.",
    ("DeadLetterHeaders", Header.OFFSET.value): "Offset of the refused record.",
    ("DeadLetterHeaders", Header.PARTITION.value): "Partition of the refused record.",
    (
        "DeadLetterHeaders",
        Header.VERSION.value,
    ): "Version of these headers; what stands before it are the record's own.",
}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema with a description of each field that had none and has a meaning here; it is changed in place."""
    models: Mapping[str, dict[str, Any]] = {str(schema.get("title")): schema, **schema.get("$defs", {})}
    for model, inner in models.items():
        for field, about in inner.get("properties", {}).items():
            meaning = OWN.get((model, field), MEANINGS.get(field))
            if meaning and "description" not in about:
                about["description"] = meaning
    return schema
