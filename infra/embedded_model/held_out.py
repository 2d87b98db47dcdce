"""What only the evaluation uses: brand names the generator cannot produce, questions in free wording."""

from __future__ import annotations

#: Names that the training generator cannot produce (``copying.py`` refuses to run otherwise).
HELD_OUT_NAMES = (
    "Kvikly",
    "Brewtopia",
    "Acme Tools",
    "Zwiebelhaus",
    "Dwyndle",
    "Vlorp",
    "Psyra",
    "Wrenfield",
    "Hjortby",
    "Mjolkbar",
    "BrewHaven",
    "Nxtgen",
    "Fjellheim",
    "McDough",
    "Tschubi",
    "Bjork Bikes",
    "LinguaLeap",
    "SleepySheep",
    "PawPalace",
    "ByteBarn",
    "CafeNube",
    "PhotoPhoenix",
    "Thimbletree",
    "Oxbow",
    "Gwyneth Gowns",
    "Sushi-Gata",
    "BudgetBuddy",
    "ToolTitan",
    "VeloVista",
    "Joffrey & Daughters",
    "Hvidbjerg",
    "Czarnko",
    "Mnemo",
    "Zebrafish Inc",
    "PuppyParlor",
    "TulipTime",
    "Backpackery",
    "DreamDuvet",
    "Grindwerks",
    "Inkwellness",
)

#: Questions in free wording, written before the model was first measured.
FREE_QUESTIONS = {
    "cooking": (
        "my cookies always come out flat, what am I doing wrong?",
        "what can I make for dinner with chicken and rice",
        "how long should I boil an egg?",
    ),
    "music": (
        "I just bought a guitar, how do I begin?",
        "my fingers hurt when I play chords",
        "can I learn piano as an adult?",
    ),
    "travel": (
        "We are going to Spain in May, what should we see?",
        "is it cheaper to book flights on tuesday",
        "what should I put in my suitcase for a week in Rome?",
    ),
    "fitness": (
        "how many push-ups should I do a day?",
        "I want bigger arms",
        "what exercises help against a weak back?",
    ),
    "garden": (
        "why are my tomato leaves turning yellow?",
        "when should I plant tulips",
        "my roses have bugs on them, what can I do?",
    ),
    "photo": (
        "why are my pictures always blurry?",
        "which lens is good for portraits?",
        "how can I get nice photos of the sunset",
    ),
    "money": (
        "how much of my salary should I save?",
        "should I pay off my credit card or invest?",
        "what is a good way to start with stocks",
    ),
    "home": (
        "my kitchen tap drips all night, how do I stop it?",
        "what paint do I need for a bathroom ceiling",
        "how do I drill a hole in a tile wall?",
    ),
    "coffee": (
        "why does my espresso taste sour?",
        "how much coffee per cup?",
        "which grinder is good for a French press",
    ),
    "running": (
        "my knees hurt after a run, what should I do?",
        "how long does it take to train for a half marathon",
        "are expensive running shoes worth it?",
    ),
    "laptops": (
        "my computer is really slow, can you help?",
        "how much memory do I need for video editing",
        "my laptop gets hot and the battery dies fast",
    ),
    "languages": (
        "how long does it take to become fluent in Spanish?",
        "I keep forgetting German words",
        "is French grammar harder than Italian grammar?",
    ),
    "sleep": (
        "I can't fall asleep, what should I do?",
        "which pillow is best if I sleep on my side",
        "how do I wake up earlier without feeling tired?",
    ),
    "pets": (
        "my puppy bites everything, help",
        "what should I feed an old cat?",
        "how often does a dog need a bath",
    ),
    "cycling": (
        "my bike chain keeps falling off",
        "what do I need to cycle to work in the rain?",
        "how high should my saddle be?",
    ),
    "office": (
        "I have too many meetings, what can I do?",
        "how do I write a polite email to my boss",
        "I can't concentrate when I work from home",
    ),
}
#: Questions outside every topic, written at the same time.
OFF_TOPIC = (
    "Why is the sky blue?",
    "Who wrote Hamlet?",
    "What is the capital of Peru?",
    "How do magnets work?",
    "Tell me a joke.",
    "How tall is Mount Everest?",
    "Can you explain gravity?",
    "What is a good name for a boat?",
    "How do I fix my marriage?",
    "What are the rules of chess?",
    "Explain quantum computing.",
    "How do I knit a hat?",
    "Which party should I vote for?",
    "What is the meaning of life?",
    "How do I tie a tie?",
    "Is there life on Mars?",
    "my girlfriend left me",
    "What causes an earthquake?",
    "how do I get a divorce",
    "Which TV series should I watch?",
)
