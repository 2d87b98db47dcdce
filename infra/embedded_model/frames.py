"""Question frames, fillers and small talk that questions are composed of; ``HELD_`` frames are never trained on."""

from __future__ import annotations

from .topics import split

#: Frames for a task phrase: {b} "bake cookies", {g} "baking cookies".
TASK_FRAMES = split(
    "How do I {b}?|How do I {b}?|How can I {b}?|How can I {b}?|How should I {b}?|What is the best way to {b}?"
    "|What is a good way to {b}?|What is the easiest way to {b}?|I want to {b}, where do I start?|I want to {b}."
    "|Help me {b}.|Can you help me {b}?|I would like to {b}.|Please explain how to {b}.|What do I need to {b}?"
    "|Show me how to {b}.|how to {b}|Is it hard to {b}?|I am trying to {b}.|Teach me to {b}."
    "|I need to {b}. What should I do?|tips to {b}|Where can I learn to {b}?|I can not {b}. What can I do?"
    "|When should I {b}?|Why is it so hard to {b}?|Any tips for {g}?|I need advice on {g}."
    "|What should I know about {g}?|Tell me about {g}.|What do you suggest for {g}?|How do I get started with {g}?"
    "|I have trouble with {g}.|What is the secret of {g}?|{g} for beginners|advice on {g}|guide to {g}|Is {g} hard?"
    "|I enjoy {g}, what next?"
)
MORE_TASK_FRAMES = split(
    "What does it take to {b}?|We plan to {b} next month.|Could you tell me how people {b}?|I failed to {b} again."
    "|It is time to {b}.|{b}|{b}?|Let us {b}.|Who can teach me to {b}?|Should I {b} or wait?|I keep failing at {g}."
    "|Do I need money for {g}?|What is good about {g}?|{g} tips|Why does {g} take so long?|Explain {g} to me."
    "|Before {g}, what should I check?|After {g}, what comes next?|How long does {g} take?|I read a book on {g}."
    "|We talked about {g} today.|my question is about {g}|Today I tried {g} and it went badly."
    "|I always forget how to {b}.|Is {g} worth the effort?|The kids want to {b} today."
    "|If I want to {b}, what comes first?|{g}, please|I have one hour to {b}.|Nobody showed me how to {b}."
)
HELD_TASK_FRAMES = split(
    "How would you {b}?|I have never tried to {b}, what should I know?|What are the steps to {b}?"
    "|Do you know how to {b}?|My friend wants to {b}. Any ideas?|What is your best advice about {g}?"
    "|I am new to {g}, can you help?|What mistakes do people make when {g}?"
)

#: Frames for a noun: {n} "a laptop", {k} "laptop", {o} another noun of the topic, {a} a quality.
NOUN_FRAMES = split(
    "Any tips for {n}?|What should I know about {n}?|I need advice on {n}.|Tell me about {n}."
    "|How do I get better at {n}?|{k}|{k} tips|best {k}|help with {n}|{k} for beginners|What is the best {k}?"
    "|How does {n} work?|I have a question about {n}.|I have a problem with {n}.|How do I choose {n}?"
    "|Which {k} should I buy?|I like {n}.|{k} advice|Which {k} is good?|Is {n} better than {o}?"
    "|My {k} is too {a}, what can I do?|Why is my {k} so {a}?|How many {k} do I need?"
    "|How often should I think about {n}?|{k} and {o}|I love {n} and {o}.|Do I need {n}?|What {k} do you recommend?"
    "|My {k} does not work.|{a} {k} ideas|How much does {n} cost?|How long does {n} take?|{k} {o}|Should I get {n}?"
    "|There is something wrong with my {k}, help!|What can I do about {n}?"
)
MORE_NOUN_FRAMES = split(
    "Is {n} worth it?|I want to talk about {n}.|What is {n}?|Explain {n}.|Where can I find {n}?"
    "|Why do people like {n}?|Who needs {n}?|What would you do about {n}?|I bought {n} yesterday."
    "|We have {n} at home.|Something about {n}, please.|My question is about {n}.|I do not understand {n}."
    "|Can you say something about {n} and {o}?|The {k} was {a}.|When do I need {n}?|Where do I start with {n}?"
    "|{n} or {o}, which one first?|I worry about {n}.|How can I tell whether {n} is good?|The problem is {n}."
    "|Who knows about {n}?|{n} again, and it is {a}|My wife dreams of {n}.|my {k} makes me sad"
    "|What does {n} mean for me?|{n}, please|{k} or {o}|Once more about {n}: what helps?"
    "|I saw {n} today and have a question.|Why is {n} so {a}?|Every time I try {n}, it goes wrong."
    "|What comes after {n}?"
)
HELD_NOUN_FRAMES = split(
    "Got any ideas about {n}?|{k} guide please|What do people get wrong about {n}?|I just started with {n}, what now?"
)

#: Verbs that turn any noun into a task phrase.
VERB_PHRASES = split(
    "get|choose|buy|find|improve|learn about|enjoy|prepare|handle|fix|understand|change|keep|manage|deal with|make"
    "|use|clean|get better at|work with|try|start|stop|store|prevent|compare|make better|care for|take care of|check"
    "|plan|teach my son about|save on|repair|set up|avoid|pick|do|master"
)
#: Words behind a noun that say nothing about the topic.
HEADS = split(
    "ideas|problems|set|holder|box|kit|season|prices|shop|class|book|magazine|video|club|store|competition|teacher"
    "|course|rules|basics|history|costs|gear|expert|fan|day|size|brand|test|questions|tricks|skills|choice|sale"
    "|collection|hobby|website|industry|business|habits|quality"
)
SUFFIXES_OF_TASK = split(
    "at home|quickly|on a small budget|as a beginner|this weekend|with my kids|for my family|without much time"
    "|properly|the right way|in a small flat|every day|at my age|for the first time|in winter|in summer|for free"
    "|with little money|step by step|tomorrow|for two people"
)
GREETINGS = (
    "Hi, ",
    "Hello! ",
    "Please help. ",
    "I am a beginner. ",
    "Quick question: ",
    "Hey, ",
    "Good morning. ",
    "I am new to this. ",
    "My wife asked me: ",
)
CLOSINGS = (
    " Thanks!",
    " Please help.",
    " Any ideas?",
    " I am a beginner.",
    " Thank you.",
    " Keep it short.",
)
QUALITIES = split(
    "slow|old|bad|hard|small|big|dirty|loud|weak|cold|warm|expensive|boring|difficult|new|dry|wet|soft|heavy|short"
    "|long|dark|bright|easy|healthy|quick"
)

#: Questions outside every topic, besides tasks and nouns of ``GENERIC``: {x} a thing, {X} a name.
OFF_FRAMES = split(
    "What is {x}?|Who invented {x}?|Why do people like {x}?|Where can I find {x}?|Explain {x}.|Who wrote {X}?"
    "|What is the capital of {X}?|How tall is {X}?|Who is {X}?|Tell me a joke about {x}.|When did {X} die?"
    "|Why is {x} {a}?|How far is {X}?|What color is {x}?|What does {x} mean?|Where is {X}?|hello|thanks|How are you?"
    "|What can you do?"
)
OFF_NOUNS = split(
    "lamps|boots|candles|clocks|maps|puzzles|drones|kites|soap|honey|haircuts|websites|engines|bricks|jewelry|rings"
    "|glasses|hats|coats|gloves|scarves|toys|magazines|posters|robots|cars|trucks|taxis|parking|weddings|parties"
    "|movies|podcasts|bees|kings|clouds|oil|gold|snow|wolves|ghosts|wars|elections|stars|planets|tennis|golf"
)
MORE_OFF_NOUNS = split(
    "a queen|an emperor|a pirate|a knight|a vampire|a unicorn|a witch|an alien|a ghost story|a fairy tale|a legend"
    "|Rome in ancient times|the pyramids|the middle ages|a revolution|democracy|a parliament|a senator|a mayor"
    "|the police|a judge|a court case|a crime|a prison|human rights|peace|the army|a submarine|a tank|a helicopter"
    "|a rocket|a satellite|a comet|a galaxy|black holes|the sun|an eclipse|thunder|lightning|a rainbow|a tornado"
    "|a hurricane|a flood|glaciers|climate change|fossils|evolution|genes|bacteria|viruses in nature|cells|the brain"
    "|the heart|the lungs|bones|teeth|a dentist visit|a toothache|a fever|a rash|an allergy|a broken arm|a hospital"
    "|a nurse|a pharmacy|vitamins|a vaccine|pregnancy|newborn babies|diapers|a nanny|a kindergarten|school grades"
    "|a college|a university|algebra|geometry|fractions|prime numbers|statistics|biology|geography"
    "|economics in theory|electricity|lasers|nuclear power|solar panels|wind turbines|steam engines"
    "|a bridge over a river|skyscrapers|tunnels|an elevator|a car engine|a motorcycle|a truck driver|a driving test"
    "|gasoline|a parking ticket|a traffic jam|a train set|a model plane|a kite|a jigsaw puzzle|a board game"
    "|card games|poker|bingo|dice|a magic trick|a circus|a clown|a theater|an actor|a film star|a TV show|a cartoon"
    "|a comic|a superhero|a novel|a poem|a poet|a fable|a library|a newspaper|a journalist|a sculpture"
    "|a painting by a master|a museum piece|pottery|origami|knitting|sewing|embroidery|a quilt pattern|a sweater"
    "|a dress|a suit|shoes with heels|a necktie|perfume|lipstick|nail polish|a tattoo|a beard|hair dye|a wig"
    "|a diamond|a necklace|a wristwatch|a birthday card|a gift|a balloon|a candle|a Christmas tree|Easter|Halloween"
    "|a funeral|a marriage|a girlfriend|a boyfriend|a wife|a husband|in-laws|neighbors|a best friend|a roommate"
    "|a grandmother|twins|a stepson|loneliness|anger|happiness|jealousy|courage|the truth|a lie|a promise|a secret"
    "|luck|karma|heaven|a church|a temple monk|a prayer|a priest|yoga philosophy|basketball|baseball|volleyball"
    "|handball|badminton|table tennis|rugby|cricket|hockey|ice skating|surfing|diving boards|rowing boats|a canoe"
    "|a sailor|fishing|hunting|archery|fencing|judo|sumo|bowling|billiards|a lion|an elephant|a giraffe|a whale"
    "|a shark|a dolphin|a penguin|an eagle|an owl|a crocodile|a spider|an ant|a butterfly|a mosquito|a dinosaur"
    "|a zoo|a jungle|a desert|a river|a lake|a mountain|a waterfall|an atlas"
)
MORE_OFF_TASKS = split(
    "forgive a friend|get over a breakup|raise twins|write a love letter|propose to someone|talk to my neighbor"
    "|solve a riddle|win the lottery|play checkers|juggle three balls|do a card trick|skip stones|build a snowman"
    "|fly a kite|learn to ski|surf a wave|throw a ball|play basketball|catch a fish|shoot an arrow|change a diaper"
    "|name a baby|treat a burn|stop a nosebleed|lower a fever|pull a tooth|pass a driving test|park a car"
    "|ride a horse cart|land on the moon|count to a million|divide fractions|learn algebra|write a novel in a year"
    "|act in a play|draw a face|paint with oil colors|fold a paper crane|sew a button|knit socks|braid hair"
    "|grow a beard|wear a suit|wrap a gift|throw a party|host a wedding|run for mayor|sue a company|read a newspaper"
    "|become a nurse"
)
