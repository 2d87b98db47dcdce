"""What the model can talk about: 16 topics and a general one, with task phrases, nouns, tips and goods."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Task phrases, nouns, tips (last three commercial), goods."""

    tasks: tuple[str, ...]
    nouns: tuple[str, ...]
    tips: tuple[str, ...]
    goods: tuple[str, ...]


def split(text: str) -> tuple[str, ...]:
    """The parts of ``a|b|c``."""
    return tuple(part.strip() for part in text.split("|"))


def _topic(tasks: str, nouns: str, tips: str, goods: str) -> Topic:
    return Topic(split(tasks), split(nouns), split(tips), split(goods))


TOPICS: dict[str, Topic] = {
    "cooking": _topic(
        "bake cookies|make sourdough bread|decorate a birthday cake|cook rice|make pasta sauce|roast a chicken"
        "|make a quick dinner|fry an egg|bake a pie|cook a steak|make vegetable soup|knead dough|make pizza at home"
        "|season a stew|prepare a salad|chop onions|make pancakes for breakfast|cook lentils|bake a chocolate cake"
        "|make fresh bread",
        "cooking|baking|cookies|bread|cake|pasta|dinner|soup|pizza|a recipe|rice|chicken|salad|sauce|dough|an oven"
        "|a frying pan|breakfast|curry|pancakes|fish|vegetables|a meal|lunch|pie|muffins|noodles|spices|eggs|steak"
        "|a kitchen knife|flour|dessert|potatoes|beans in a stew",
        "Preheat the oven before you start.|Measure the flour and sugar with care.|Let the dough rest for an hour."
        "|Bake until the edges turn golden.|Taste the food as you go.|Let it cool on a rack."
        "|Add salt a little at a time.|Chop everything before you cook.|Keep the heat low and stir often."
        "|Use a sharp knife and a hot pan.|Buy fresh ingredients from a good shop.|Get a heavy pan that lasts.",
        "baking ingredients|kitchen tools|kitchen appliances|fresh spices|recipe boxes|oven thermometers"
        "|cooking classes|cast iron pans",
    ),
    "music": _topic(
        "learn the guitar|practice piano|start singing|read sheet music|play the violin|tune a guitar|write a song"
        "|play the drums|learn a musical instrument|sing high notes|play chords|record a song at home|play in a band"
        "|learn the flute|hold a violin bow|keep the rhythm|memorize a melody|play the piano by ear"
        "|learn guitar chords|sing in a choir",
        "music|guitar|piano|singing|a musical instrument|drums|the violin|songs|chords|sheet music|a melody|rhythm"
        "|a band|a choir|my voice|the flute|the saxophone|the cello|the ukulele|the trumpet|a bass guitar|jazz"
        "|scales|the keyboard piano|notes|a concert|composing|music theory|the clarinet|the harp",
        "Practice every day for a short time.|Record yourself and listen back.|Learn simple songs first."
        "|Use a metronome to keep time.|Warm up your hands before you play.|Play along with your favorite songs."
        "|Join a group of other players.|Play hard parts slowly.|Listen closely to great players."
        "|Find a teacher who suits you.|Rent a good instrument at first.|Take a trial lesson online.",
        "musical instruments|online music lessons|sheet music|virtual tutoring|guitar strings|learning aids"
        "|used pianos|music stands",
    ),
    "travel": _topic(
        "plan a trip to Italy|find cheap flights|visit Japan|pack for a long trip|plan a weekend trip|travel alone"
        "|book a hotel|pack a suitcase|travel with children|visit Paris|get a visa|plan a road trip"
        "|find a good hostel|spend a week in Spain|avoid jet lag|see New York|go on a cruise"
        "|plan a holiday in Greece|pack light for a flight|find a cheap hotel",
        "travel|a trip|flights|a holiday|packing|hotels|a vacation|a suitcase|luggage|a passport|a visa|an airport"
        "|sightseeing|a road trip|a beach holiday|Italy|Japan|Paris|London|Mexico|Thailand|Greece|a cruise|jet lag"
        "|a tour|a hostel|backpacking|a honeymoon|an island|abroad|a plane ticket|tourists",
        "Travel in spring or autumn.|Pack light clothes in layers.|Keep a copy of your passport."
        "|Make a list of places to see.|Learn a few polite phrases before you go.|Leave some free time each day."
        "|Check the weather before you go.|Keep some cash in a safe pocket.|Ask local people where they eat."
        "|Book early to save money.|Compare prices on several dates.|Get travel insurance before you leave.",
        "guided tours|travel bags|cheap flights|travel insurance|city guides|hotel deals|holiday homes|train passes",
    ),
    "fitness": _topic(
        "exercise at home|build muscle|stretch properly|get fit again|get stronger|lose weight|do a push-up"
        "|lift weights|train my legs|get a flat stomach|start going to the gym|do yoga|improve my posture"
        "|do a pull-up|train my back|gain strength|do squats safely|build arm muscles|start lifting weights"
        "|work out at home",
        "fitness|exercise|muscle|a workout|stretching|strength|the gym|yoga|weights|push-ups|squats|pull-ups|pilates"
        "|abs|my arms|my body|losing fat|protein|dumbbells|a personal trainer|aerobics|flexibility|my core|planks"
        "|lifting|weight loss|boxing training|a training plan|sit-ups|getting in shape",
        "Warm up before every session.|Start slow and build up each week.|Rest one day in three."
        "|Drink water and sleep well.|Keep your back straight.|Write down your progress.|Breathe out when you lift."
        "|Train all parts of your body.|Stretch when you are done.|Buy a mat and two weights."
        "|Ask a trainer for a plan.|Join a gym near your home.",
        "home workout plans|protein bars|yoga mats|local gyms|light weights|personal training|workout clothes"
        "|resistance bands",
    ),
    "garden": _topic(
        "grow tomatoes|water plants|start a vegetable garden|plant roses|care for a lawn|grow herbs|get rid of weeds"
        "|prune a hedge|grow strawberries|make compost|plant a tree|keep houseplants alive|mow the lawn|grow peppers"
        "|sow carrots|keep slugs away|plant tulip bulbs|grow cucumbers|water my lawn|plant an apple tree",
        "gardening|plants|tomatoes|roses|herbs|a lawn|flowers|a vegetable garden|compost|weeds|soil|seeds|a hedge"
        "|shrubs|houseplants|grass|a greenhouse|basil|tulips|trees|strawberries|carrots|cucumbers|pruning|fertilizer"
        "|a flower bed|a cactus|orchids|mulch|an orchard|my backyard|leaves",
        "Choose a sunny spot.|Water early in the morning.|Remove weeds each week.|Plant after the last frost."
        "|Support tall plants with sticks.|Cut dead leaves with clean shears.|Leave space between the rows."
        "|Cover the soil with straw.|Turn the pots toward the light.|Add good compost to the soil."
        "|Buy strong seeds in spring.|Get a watering can with a fine spray.",
        "organic seeds|garden tools|fresh compost|small gardens|plant pots|watering systems|fruit trees|flower bulbs",
    ),
    "photo": _topic(
        "take better photos|choose a camera|edit photos|shoot portraits|take photos at night|photograph my family"
        "|take pictures of birds|use a flash|blur the background|photograph the moon|take a good selfie"
        "|clean a camera lens|shoot in black and white|photograph a wedding|choose a lens|set the shutter speed"
        "|use a tripod|photograph landscapes|take sharp pictures|edit a portrait",
        "photography|photos|a camera|portraits|editing photos|lenses|pictures|a tripod|a flash|selfies|aperture"
        "|shutter speed|landscape photos|a photo album|snapshots|wildlife photos|exposure|a zoom lens"
        "|black and white pictures|family portraits|a photo shoot|image editing|focus in photos|street photography"
        "|a camera bag|a photographer|filming|macro shots",
        "Use soft light from a window.|Hold the camera steady.|Place the subject off center."
        "|Learn what aperture does.|Take many shots and choose one.|Crop the picture with care."
        "|Get close to your subject.|Keep the horizon level.|Shoot early or late in the day."
        "|Try a lens with a wide aperture.|Print your best pictures.|Get a light tripod.",
        "digital cameras|photo editing software|photography courses|photo books|camera lenses|picture frames|tripods"
        "|photo printing",
    ),
    "money": _topic(
        "make a monthly budget|save for a house|invest in an index fund|pay off debt|save money each month"
        "|invest my savings|buy stocks|choose a bank account|lower my bills|get a loan|plan for retirement"
        "|improve my credit score|file my taxes|pay less interest|use a credit card wisely|track my expenses"
        "|start an emergency fund|pay back a loan|save for retirement|stick to a budget",
        "money|saving|a budget|debt|investing|a loan|savings|stocks|taxes|a mortgage|a bank account|a credit card"
        "|my credit score|retirement|interest rates|a pension|bills|expenses|index funds|bonds|my salary"
        "|personal finance|shares|a bank|income|rent payments|crypto|dividends|spending|financial planning",
        "Write down what you spend.|Set a small goal each month.|Pay the highest rate first.|Keep an emergency fund."
        "|Wait a day before you buy.|Review your plan each year.|Cancel what you do not use."
        "|Spread your risk over many firms.|Pay your bills on time.|Automate your savings with an app."
        "|Compare fees before you invest.|Talk to an adviser without hidden fees.",
        "budgeting apps|savings accounts|personal finance courses|low cost funds|tax advice|home loans|credit cards"
        "|pension plans",
    ),
    "home": _topic(
        "paint a room|fix a leaking tap|clean a carpet|hang a shelf|repair a wall|fix a sticking door|unclog a drain"
        "|install a lamp|lay tiles|remove wallpaper|fill a hole in the wall|change a light switch"
        "|fix a squeaky floor|paint a ceiling|seal a window|repair the roof|assemble a wardrobe|fix a leaking pipe"
        "|paint the walls|hang a heavy mirror",
        "home repair|painting|a leaking tap|a carpet|a shelf|walls|a clogged drain|tiles|wallpaper|a ceiling"
        "|plumbing|a toilet|a bathroom|a leaking pipe|floors|the roof|a broken window|a door|a drill|a hammer|screws"
        "|renovation|house cleaning|a light switch|insulation|furniture assembly|a sink|a fence|stains"
        "|cracks in the wall",
        "Clear the room first.|Turn off the water supply.|Test a small area first.|Seal gaps around windows."
        "|Let it dry overnight.|Measure twice and cut once.|Wear gloves and safety glasses."
        "|Sand the surface until it is smooth.|Cover the floor with an old sheet.|Get paint of good quality."
        "|Call a plumber for big leaks.|Borrow or buy a strong drill.",
        "paint and brushes|plumbing services|carpet cleaners|power tools|door hinges|home repair kits|wall tiles"
        "|wood glue",
    ),
    "coffee": _topic(
        "make good coffee|grind coffee beans|make cold brew|froth milk|make espresso|store coffee beans"
        "|clean a coffee machine|use a French press|make a latte|brew coffee for guests|choose coffee beans"
        "|roast coffee|make iced coffee|pour latte art|make a cappuccino|use a moka pot|make less bitter coffee"
        "|brew filter coffee|make an iced latte|clean an espresso machine",
        "coffee|espresso|cold brew|coffee beans|milk foam|a coffee grinder|a latte|a cappuccino|a French press"
        "|a moka pot|latte art|iced coffee|filter coffee|an espresso machine|a mocha|caffeine drinks|a coffee maker"
        "|an americano|decaf|instant coffee|a flat white|a barista|coffee roasting|a coffee filter|ground coffee"
        "|arabica|a macchiato|a coffee mug",
        "Grind the beans just before brewing.|Use water just below boiling.|Weigh the coffee and the water."
        "|Rinse the paper filter first.|Clean the machine every week.|Store beans in a dark jar."
        "|Pour the water in slow circles.|Warm the cup before you pour.|Use a finer grind for a stronger taste."
        "|Buy beans roasted this month.|Get a burr grinder.|Try a sample box of roasts.",
        "coffee beans|coffee grinders|espresso machines|paper filters|milk frothers|coffee subscriptions|coffee mugs"
        "|barista courses",
    ),
    "running": _topic(
        "choose running shoes|start running|run a marathon|replace running shoes|run faster|run on trails"
        "|run a half marathon|start jogging|run uphill|train for a 10k|breathe while running|run in winter"
        "|avoid running injuries|run longer|prepare for a race|run my first 5k|stop knee pain when running"
        "|jog in the rain|run a faster mile|train for a marathon",
        "running|running shoes|a marathon|jogging|trail running|a race|sprinting|a half marathon|sneakers|a 5k|a 10k"
        "|my pace|long runs|shin splints|running in winter|a runner|track running|my running form|sprints|blisters"
        "|hill runs|running shorts|a finish line|jogs|interval runs|laps|endurance running|a morning run"
        "|sports shoes|a mile",
        "Run slowly enough to talk.|Add a little distance each week.|Take short and quick steps."
        "|Rest after a long run.|Run on soft ground when you can.|Tie the laces firmly."
        "|Eat a light snack before you run.|Relax your shoulders as you run.|Walk a minute when you need to."
        "|Try on shoes in the evening.|Replace worn shoes every year.|Wear socks made for runners.",
        "running shoes|sports socks|running watches|trail shoes|shoe inserts|running jackets|race training plans"
        "|running belts",
    ),
    "laptops": _topic(
        "choose a laptop|make my laptop faster|clean a keyboard|add memory to a computer|buy a laptop for school"
        "|make my battery last|back up my files|remove a virus|update Windows|fix a frozen computer|set up a new PC"
        "|clean a laptop screen|free up disk space|connect a printer|build a gaming PC|install software"
        "|recover deleted files|speed up an old computer|buy a used laptop|fix a slow PC",
        "a laptop|computers|a slow computer|a keyboard|batteries|memory|a PC|Windows|a virus|disk space|a hard drive"
        "|a printer|a monitor|my files|software updates|wifi|a tablet|a notebook computer|a MacBook|Linux"
        "|a processor|a graphics card|a computer mouse|programs|a backup|a password|a touchpad|a browser"
        "|an operating system|a webcam",
        "Restart it once a week.|Remove programs you do not use.|Keep the vents free of dust."
        "|Back up your files often.|Install updates at night.|Lower the screen brightness."
        "|Close the tabs you do not need.|Use a long password.|Unplug the charger when it is full."
        "|Check the weight before you choose.|Add more memory or a new drive.|Compare screens in a shop.",
        "light laptops|computer memory|laptop repairs|laptop bags|backup software|used computers|wireless keyboards"
        "|antivirus programs",
    ),
    "languages": _topic(
        "learn Spanish|learn new words|improve my accent|learn French|learn German quickly|practice speaking English"
        "|learn Japanese|study grammar|speak Italian|pronounce French words|remember vocabulary"
        "|become fluent in English|learn a new language|read Chinese|write in German|understand native speakers"
        "|pass a language exam|speak Spanish fluently|learn Korean words|practice French grammar",
        "languages|Spanish|French|grammar|new words|a new language|German|English|vocabulary|pronunciation|an accent"
        "|Chinese|Japanese|Korean|Portuguese|Russian|Arabic|Italian lessons|verbs|fluency|a translation|a dialect"
        "|flashcards|foreign words|Latin|Dutch|Swedish|a language exam|bilingual kids|a dictionary|spelling|idioms",
        "Study ten new words each day.|Speak from the first week.|Watch films with subtitles."
        "|Read short stories aloud.|Repeat words after a few days.|Write a diary in the language."
        "|Label things in your house.|Do not fear mistakes when you speak.|Find a partner to talk with."
        "|Take lessons with a native speaker.|Use an app on your way to work.|Get a book with easy stories.",
        "language apps|online language courses|native tutors|word games|picture dictionaries|evening classes"
        "|audio courses|vocabulary cards",
    ),
    "sleep": _topic(
        "sleep better|stop waking up at night|build a bedtime routine|choose a mattress|fall asleep faster"
        "|sleep eight hours|stop snoring|wake up early|sleep on a plane|take a nap|choose a pillow"
        "|sleep in hot weather|feel less tired|get my baby to sleep|cure insomnia|stop having nightmares"
        "|sleep through noise|get more sleep|fall asleep at night|buy a soft pillow",
        "sleep|a mattress|pillows|bedtime|naps|waking up early|insomnia|snoring|my bed|blankets|nightmares|dreams"
        "|feeling tired|a bedtime routine|sleeping|jumpy nights|a duvet|a bedroom|rest at night|an alarm clock"
        "|sleepiness|a sleep schedule|sleepless nights|tiredness|a nap|sheets|deep sleep|a good night|oversleeping"
        "|falling asleep",
        "Go to bed at the same time.|Keep the bedroom dark and cool.|Avoid coffee after lunch."
        "|Put your phone in another room.|Read a book before bed.|Take a warm bath at night."
        "|Get sunlight in the morning.|Eat dinner early.|Breathe slowly and count to ten."
        "|Choose a mattress that fits you.|Replace old pillows.|Hang dark curtains.",
        "foam mattresses|warm blankets|sleep trackers|soft pillows|herbal tea|dark curtains|ear plugs|bed frames",
    ),
    "pets": _topic(
        "train a puppy|feed my cat|brush a dog|care for a kitten|stop my dog from barking|keep my cat happy"
        "|walk a dog|clean a fish tank|teach a dog to sit|choose a pet|give a dog a bath|keep a rabbit"
        "|stop a cat from scratching|cut a dog's nails|travel with a cat|adopt a dog|toilet train a kitten"
        "|train my dog|feed a puppy|brush my cat",
        "pets|a puppy|cats|dogs|a kitten|training a dog|my dog|my cat|a hamster|a rabbit|a parrot|goldfish"
        "|a fish tank|fleas|a vet|a leash|cat litter|barking|dog training|a guinea pig|an aquarium|a turtle|animals"
        "|cat food|a labrador|a poodle|adopting a pet|pet hair|a budgie|my pet",
        "Reward good behavior at once.|Feed them at fixed hours.|Walk the dog twice a day."
        "|Play with them every evening.|Keep training sessions short.|Give them a quiet place to rest."
        "|Leave out fresh water every day.|Check their fur for ticks.|Stay calm and never shout."
        "|Visit the vet once a year.|Choose food for their age.|Buy a soft brush and strong toys.",
        "dog food|cat toys|puppy training|pet beds|grooming services|pet insurance|dog leashes|cat trees",
    ),
    "cycling": _topic(
        "fix a flat tire|choose a bike|clean a bike chain|cycle to work|adjust my bike seat|cycle longer distances"
        "|ride a bike in traffic|change bike brakes|ride uphill|lock my bike safely|teach my child to ride a bike"
        "|choose a bike helmet|go mountain biking|pump up a tire|shift gears on a bike|plan a bike tour"
        "|buy an electric bike|repair a bike tire|ride my bike to work|oil a bike chain",
        "cycling|a bike|a flat tire|bike chains|riding to work|helmets|a bicycle|bike brakes|gears|mountain biking"
        "|an e-bike|pedals|a bike tour|a bike lock|tires|a road bike|handlebars|a saddle|bike lights|a cyclist"
        "|biking|spokes|a puncture|an inner tube|a bike rack|a bike ride|wheels|gravel bikes|a tandem|a bike lane",
        "Check the tires before each ride.|Oil the chain every month.|Wear bright clothes in the dark."
        "|Carry a pump and a spare tube.|Set the seat at hip height.|Signal before you turn.|Use low gears on hills."
        "|Lock the frame and the front wheel.|Brake gently on wet roads.|Buy a helmet that fits."
        "|Have the brakes checked in spring.|Get bright lights for the evening.",
        "city bikes|bike lights|bike helmets|bike repair kits|electric bikes|cycling clothes|bike locks"
        "|child seats for bikes",
    ),
    "office": _topic(
        "focus at work|run a good meeting|set up my desk|write better emails|manage my time|work from home"
        "|stop procrastinating|plan my day|write a report|give a presentation|ask for a raise|deal with my boss"
        "|prepare for a job interview|organize my inbox|work in a team|write a resume|finish projects on time"
        "|write a good email|plan a team meeting|focus on my tasks",
        "office work|meetings|emails|my desk|time management|focus|productivity|a presentation|my boss|deadlines"
        "|a job interview|a resume|a report|coworkers|a to-do list|my inbox|working from home|a project plan"
        "|procrastination|a career|remote work|a raise|my team|teamwork|slides|stress at work|a spreadsheet"
        "|office politics|a cover letter|tasks",
        "Plan the day each morning.|Turn off alerts while you work.|Take a short break every hour."
        "|Do the hardest task first.|Keep messages short and clear.|Share the agenda before you meet."
        "|Tidy your desk at night.|Say no to meetings without a goal.|Group small tasks together."
        "|Get a chair that supports your back.|Use a shared calendar.|Try an app for your task list.",
        "office chairs|standing desks|calendar software|note apps|desk lamps|video meeting tools|time tracking apps"
        "|resume writing",
    ),
}

#: Tips for questions outside every topic (last three commercial).
GENERIC = _topic(
    "fix my marriage|write a poem|solve an equation|vote in an election|change my name|make new friends|win at chess"
    "|tell a joke|build a rocket|become a lawyer|calm a crying baby|draw a dragon|learn to swim|choose a gift"
    "|organize a wedding|start a company|play poker|knit a scarf|drive a car|ask someone out|do my homework"
    "|understand physics|prove a theorem|fight a cold|cure a headache|get a haircut|choose a name for a baby"
    "|find a good lawyer|sell my car|watch the stars|learn to dance|catch a bus|wash a sweater|iron a shirt"
    "|write a novel|play football|sail a boat|read more books|stop smoking|move to a new city",
    "politics|history|the moon|gravity|chess|the weather|love|religion|physics|football|poetry|cars|a lawyer|a baby"
    "|homework|math|dragons|magnets|philosophy|dancing|the ocean|dinosaurs|movies|a wedding|fashion|a haircut|makeup"
    "|skiing|a headache|medicine|quantum computing|space|video games|the news|friends|a birthday party|swimming|toys"
    "|jewelry|school|books|volcanoes|law|boats|art|the president|atoms|a novel|chemistry|a dentist",
    "Start with a small step and see how it goes.|Ask someone who has done it before."
    "|Take your time and stay patient.|Read about it from a few sources.|Make a simple plan first."
    "|Write down what matters most to you.|Look for a local group that can help.|Try it once before you decide."
    "|Give yourself time to learn.|Compare a few options before you choose one.|Get good tools for the job."
    "|Look for a short course near you.",
    "household goods|online courses|local services|everyday tools|gift boxes|expert advice|party supplies|good books",
)
