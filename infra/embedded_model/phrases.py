"""Words around a subject: question frames, first sentences of replies, general advice, sentences that name brands.

`{b}` is a task ("bake cookies"), `{g}` the same task as a gerund, `{n}` a noun with its article, `{k}` without it.
"""

from __future__ import annotations

from .subjects import split

#: Frames of questions about a task, by what the reply's first sentence has to answer.
TASK_FRAMES = {
    "how": split(
        "How do I {b}?|How do I {b}?|How can I {b}?|How can I {b}?|How should I {b}?|How would you {b}?"
        "|What is the best way to {b}?|What is a good way to {b}?|What is the easiest way to {b}?|Help me {b}."
        "|Can you help me {b}?|Could you help me {b}?|Please explain how to {b}.|Show me how to {b}.|Teach me to {b}."
        "|how to {b}|tips to {b}|Any tips for {g}?|I need advice on {g}.|What should I know about {g}?"
        "|Tell me about {g}.|What do you suggest for {g}?|How do I get started with {g}?|{g} for beginners"
        "|advice on {g}|What are the steps to {b}?|Do you know how to {b}?|What is your best advice about {g}?"
        "|What is the secret of {g}?|Where can I learn to {b}?|How does one {b}?|{b}|{g} tips|Explain {g} to me."
        "|What mistakes do people make when {g}?|Before {g}, what should I check?|Nobody showed me how to {b}."
    ),
    "need": split(
        "What do I need to {b}?|What do I need for {g}?|What does it take to {b}?|Do I need much to {b}?"
        "|What should I prepare before {g}?|How much time do I need to {b}?"
    ),
    "want": split(
        "I want to {b}, where do I start?|I want to {b}.|I would like to {b}.|I am trying to {b}.|I plan to {b}."
        "|I need to {b}. What should I do?|My friend wants to {b}. Any ideas?|We want to {b} next month."
        "|I am new to {g}, can you help?|I have never tried to {b}, what should I know?|It is time to {b}."
        "|Where do I start if I want to {b}?|I enjoy {g}, what next?"
    ),
    "trouble": split(
        "I can not {b}. What can I do?|Why is it so hard to {b}?|I have trouble with {g}.|I keep failing at {g}."
        "|I failed to {b} again.|Is it hard to {b}?|Is {g} hard?|Today I tried {g} and it went badly."
        "|I always forget how to {b}.|Why does {g} take so long?|I am bad at {g}, what helps?"
    ),
}
#: Frames of questions about a noun, by the same.
NOUN_FRAMES = {
    "about": split(
        "Any tips for {n}?|What should I know about {n}?|I need advice on {n}.|Tell me about {n}.|{k}|{k} tips"
        "|help with {n}|{k} for beginners|I have a question about {n}.|{k} advice|What do you suggest for {n}?"
        "|Got any ideas about {n}?|I just started with {n}, what now?|What do people get wrong about {n}?"
        "|Explain {n}.|My question is about {n}.|I want to talk about {n}.|Where do I start with {n}?"
        "|What is important about {n}?|Something about {n}, please.|I like {n}.|Can you say something about {n}?"
        "|I do not understand {n}.|What helps with {n}?|I am thinking about {n}, any advice?|We talked about {n} today."
    ),
    "problem": split(
        "I have a problem with {n}.|There is something wrong with {n}, help!|What can I do about {n}?"
        "|I worry about {n}.|Every time I try {n}, it goes wrong.|My problem is {n}.|I am not happy with {n}."
        "|Why is it so hard with {n}?|{k} problems"
    ),
}
GREETINGS = ("Hi, ", "Hello! ", "Please help. ", "Quick question: ", "Hey, ", "Good morning. ", "I am a beginner. ")
CLOSINGS = (" Thanks!", " Please help.", " Any ideas?", " I am a beginner.", " Thank you.", " Keep it short.")
SUFFIXES = split(
    "quickly|on a small budget|as a beginner|this weekend|with my kids|without much time|at my age|with little money"
)
ADJECTIVES = split("good|new|old|small|simple|big|nice|cheap|perfect|great|better|first")

#: First sentences of replies, by the kind of the question.
TASK_LEADS = {
    "how": split(
        "Here is how to {b}.|To {b}, take it step by step.|{G} is easier with a plan.|Happy to help you {b}."
        "|Here is what helps when you {b}.|You can {b} in a few simple steps.|A few simple steps help you {b}."
    ),
    "need": split(
        "You do not need much to {b}.|To {b}, you need a little time and patience.|Some things help you {b}."
        "|Here is what you need to {b}."
    ),
    "want": split(
        "It is nice that you want to {b}.|Great, here is how to {b}.|Good idea to {b}.|If you want to {b}, start small."
        "|{G} is a good plan."
    ),
    "trouble": split(
        "Trouble with {g} is very common.|It takes time to {b}, so be patient.|With practice, {g} gets easier."
        "|Here is what can help you {b}."
    ),
}
NOUN_LEADS = {
    "about": split(
        "Here is what helps with {n}.|Here are some tips for {n}.|A few ideas about {n}.|Let us talk about {n}."
        "|Good question about {n}.|With {n}, a few simple steps help."
    ),
    "problem": split(
        "Trouble with {n} is very common.|Here is what to try with {n}.|Problems with {n} can often be solved."
    ),
}
PLAIN_LEADS = split("Happy to help.|Good question.|Here are some ideas.|Sure.")
ENDS = split("Good luck!|Good luck with {x}!|I hope this helps with {x}.|I hope this helps.|Take your time with {x}.")

#: First sentences for things outside every subject, and general advice about them: always about the thing itself.
OUTSIDE_NOUN_LEADS = split(
    "I know little about {n}, but here is how to start.|I am no expert on {n}, but this may help."
    "|Here is some general advice about {n}.|I can only give general advice about {n}."
)
OUTSIDE_TASK_LEADS = split(
    "I am no expert, but here is how to {b}.|Here is some general advice on how to {b}."
    "|I can only give general advice on how to {b}.|To {b}, start with a simple plan."
)
OUTSIDE_NOUN_TIPS = split(
    "write down what you want to know about {n}|read about {n} from two or three sources"
    "|look for a good book about {n}|watch a short video about {n}|ask somebody who knows a lot about {n}"
    "|find a course about {n}|talk about {n} with a friend|compare what different people say about {n}"
    "|keep notes as you learn|take your time with {n}|give yourself a few weeks"
)
OUTSIDE_TASK_TIPS = split(
    "break it into small steps|write down each step|get what you need before you {b}"
    "|watch a short video on how to {b}|ask somebody who has done it before|start with a small test"
    "|take your time when you {b}|try again if it fails|note what worked|ask a friend for an honest opinion"
)

#: Before a tip that comes first, in between, and last.
FIRST_LINKS = ("First, ", "To begin, ", "Start like this: ")
LINKS = ("Then ", "After that, ", "Also, ", "Remember to ", "It helps to ", "If you can, ")
LAST_LINKS = ("Finally, ", "In the end, ", "Last of all, ")

#: Sentences that name a brand {b}, described as {d}: the first one of a reply, then those that go on from another.
MENTIONS = split(
    "For this, {b} is worth a look.|I can recommend {b}.|Many people like {b}.|If you need help, try {b}."
    "|{b} can help you with this.|You could try {b}, {d}.|A good choice is {b}, {d}.|Have a look at {b}, {d}."
    "|{b} is {d}, so it is worth a look.|{b}, {d}, can help you with this.|It may help to know {b}, {d}."
)
MORE_MENTIONS = split(
    "You could also try {b}.|{b} is also worth a look.|I also like {b}.|Another good choice is {b}, {d}."
    "|{b}, {d}, can help you too.|There is also {b}, {d}.|Have a look at {b} as well."
)
CALLS = split("Visit {b} today.|{b} makes this easier.|A visit to {b} pays off.|{b} has a good offer now.")

SMALL_TALK = {
    "hello": "Hello! How can I help you?",
    "Hi": "Hello! How can I help you?",
    "Good morning": "Good morning! How can I help you?",
    "thanks": "You are welcome.",
    "Thank you!": "You are welcome.",
    "How are you?": "Fine, thank you. How can I help you?",
    "Who are you?": "I am a small language model that answers everyday questions.",
    "What can you do?": "I can answer short questions about everyday things.",
    "help": "Sure. What do you need help with?",
    "goodbye": "Goodbye, and good luck!",
}
