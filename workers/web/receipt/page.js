"use strict";
(() => {
  const receipt = JSON.parse(document.getElementById("tessera-receipt").textContent);
  const tau = receipt.tau_micros_per_nat;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const grouped = (number, digits = 0) =>
    number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const money = (micros) => `${(micros / 1e6).toFixed(6)} ${receipt.currency}`;

  const percent = (chance) => {
    if (chance > 0 && chance < 1e-4) return "<0.01%";
    if (chance < 1 && chance > 0.9999) return ">99.99%";
    return `${(chance * 100).toFixed(2)}%`;
  };

  // Whole micros, half to even, as the bill is rounded.
  const rounded = (micros) => {
    const down = Math.floor(micros);
    const rest = micros - down;
    if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
    return down % 2 === 0 ? down : down + 1;
  };

  const logSumExp = (row) => {
    const top = Math.max(...row);
    return top + Math.log(sum(row.map((entry) => Math.exp(entry - top))));
  };

  // π = softmax(Σᵢ rᵢ/τ + ln π_ref − ln q) and KL(π ‖ π₋ᵢ) for each party: π₋ᵢ ∝ π·exp(−(rᵢ − π·rᵢ)/τ), and the
  // logarithm of its normaliser is that divergence. Rewards count from candidate 0's on, divergences from the mean's.
  const allocate = (logQ, logRef, rewards, weight) => {
    const shares = rewards.map((row) => row.map((reward) => (reward - row[0]) / weight));
    const scores = logQ.map((q, j) => sum(shares.map((row) => row[j])) + logRef[j] - q);
    const normaliser = logSumExp(scores);
    const logPi = scores.map((score) => score - normaliser);
    const pi = logPi.map(Math.exp);
    const best = pi.indexOf(Math.max(...pi));
    const influence = shares.map((row) => {
      const mean = row[best] + sum(row.map((share, j) => (share - row[best]) * pi[j]));
      return Math.max(0, logSumExp(logPi.map((logarithm, j) => logarithm - (row[j] - mean))));
    });
    return { pi, influence };
  };

  const influenceOf = (logWithout) =>
    sum(receipt.probabilities.map((chance, j) =>
      chance > 0 ? chance * (receipt.log_probabilities[j] - logWithout[j]) : 0));

  // Whose bill should be what, if the party's charge is `micros`: its first member carries the charge.
  const billsOf = (party, micros) => party.members
    ? party.members.map(({ declaration, bill }, place) => ({ name: declaration.name, bill, owed: place ? 0 : micros }))
    : [{ name: receipt.advertiser.name, bill: receipt.bill, owed: receipt.carries_charge ? micros : 0 }];

  const faultsOf = (party, micros) => {
    const faults = [];
    const shown = party.charge.rounded_micros;
    if (shown !== micros) faults.push(`NOT the ${grouped(shown)} above.`);
    billsOf(party, micros).forEach(({ name, bill, owed }) => {
      const billed = `${name} was billed ${grouped(bill.charge_micros)} micros`;
      if (bill.charge_micros !== owed) faults.push(`${billed}, NOT ${grouped(owed)}.`);
      if (bill.charge_micros > bill.bound_micros) faults.push(`${billed}, NOT within ${grouped(bill.bound_micros)}.`);
    });
    return faults;
  };

  const judge = (output, text, faults, agreed) => {
    output.value = [text, ...(faults.length ? faults : [agreed])].join(" ").trim();
    output.classList.add(faults.length ? "bad" : "good");
  };

  // Each charge once more, by the reader's own machine, from π, π₋ᵢ and τ, and beside it what was billed.
  const recompute = () => {
    const parties = receipt.parties || [receipt];
    const charges = parties.map((party) => rounded(tau * influenceOf(party.log_probabilities_without)));
    all("output.recomputed").forEach((output, place) => {
      const text = `Recomputed by this page on your machine: ${grouped(charges[place])} micros.`;
      judge(output, text, faultsOf(parties[place], charges[place]), "The bill agrees.");
      output.dataset.micros = String(charges[place]);
    });
    const total = document.getElementById("recomputed-total");
    if (total) judge(total, "", faultsOfTotal(parties, charges), "= the sum of the bills");
  };

  const faultsOfTotal = (parties, charges) => {
    const billed = sum(parties.flatMap((party) => party.members.map((member) => member.bill.charge_micros)));
    const faults = [];
    if (billed !== receipt.total_charge_micros) faults.push(`NOT the sum of the bills, ${money(billed)}`);
    if (sum(charges) !== receipt.total_charge_micros) faults.push(`NOT the sum owed, ${money(sum(charges))}`);
    return faults;
  };

  const whatIf = (panel) => {
    const weight = document.getElementById("what-if-tau");
    const values = all("input.what-if-value");
    const logQ = receipt.candidates.map((candidate) => candidate.log_q);
    const logRef = receipt.candidates.map((candidate) => candidate.log_ref);

    const factorOf = (id) => Number(values.find((input) => input.dataset.advertiser === id).value);
    const rewards = () => receipt.parties.map((party) => logQ.map((_, j) => sum(party.members.map((member) =>
      factorOf(member.declaration.advertiser_id) * member.declaration.rewards_micros[j]))));

    const say = (input, text) => {
      input.setAttribute("aria-valuetext", text);
      input.parentElement.querySelector("output").value = text;
    };

    const show = () => {
      const scaled = tau * 2 ** Number(weight.value);
      const result = allocate(logQ, logRef, rewards(), scaled);
      const charges = result.influence.map((nats) => rounded(scaled * nats));
      say(weight, `${grouped(scaled, scaled < 100 ? 2 : 0)} (×${(scaled / tau).toPrecision(3)})`);
      values.forEach((input) => say(input, `×${Number(input.value).toFixed(2)}`));
      all(".what-if-pi").forEach((cell, j) => {
        cell.value = String(result.pi[j]);
        cell.textContent = percent(result.pi[j]);
      });
      all(".what-if-bar").forEach((rect, j) => rect.setAttribute("width", `${result.pi[j] * 100}%`));
      all(".what-if-charge").forEach((cell, i) => {
        cell.value = String(charges[i]);
        cell.textContent = money(charges[i]);
      });
      const total = document.getElementById("what-if-total");
      total.value = money(sum(charges));
    };

    [weight, ...values].forEach((input) => input.addEventListener("input", show));
    document.getElementById("what-if-reset").addEventListener("click", () => {
      weight.value = "0";
      values.forEach((input) => { input.value = "1"; });
      show();
    });
    panel.hidden = false;
    show();
  };

  recompute();
  const panel = document.getElementById("what-if");
  if (panel) whatIf(panel);
  addEventListener("beforeprint", () => all("details").forEach((one) => { one.open = true; }));
})();
