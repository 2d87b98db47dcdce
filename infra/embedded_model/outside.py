"""Things outside every subject, for training; the nouns of the evaluation (`held_out.UNSEEN`) are not among them."""

from __future__ import annotations

from .subjects import split

OUTSIDE_NOUNS = split(
    "a queen|an emperor|a pirate|a knight|a vampire|a unicorn|a witch|an alien|a fairy tale|a legend|the pyramids"
    "|the middle ages|a revolution|democracy|a parliament|a senator|a mayor|the police|a judge|a court case|a crime"
    "|a prison|peace|the army|a submarine|a helicopter|a rocket|a satellite|a comet|a galaxy|the sun|an eclipse"
    "|thunder|lightning|a rainbow|a tornado|a hurricane|a flood|climate change|evolution|the brain|the heart|a fever"
    "|a rash|an allergy|a broken arm|a hospital|a nurse|a pharmacy|a vaccine|statistics|geography|a laser"
    "|nuclear power|a wind turbine|a steam engine|an elevator|a motorcycle|a truck driver|a traffic jam|a train set"
    "|a model plane|a kite|a magic trick|a circus|a clown|a theater|an actor|a film star|a cartoon|a comic"
    "|a superhero|a newspaper|a journalist|a sculpture|origami|a sweater|a tattoo|a wig|a diamond|a necklace"
    "|a wristwatch|a balloon|a candle|Easter|Halloween|a funeral|a grandmother|courage|the truth|a promise|a secret"
    "|luck|heaven|a church|a prayer|a priest|baseball|cricket|ice skating|surfing|a canoe|a sailor|hunting|archery"
    "|judo|bowling|a lion|an elephant|a giraffe|a whale|a shark|a dolphin|an eagle|an owl|a spider|a butterfly"
    "|a dinosaur|a jungle|a desert|a river|a lake|a mountain|an atlas|politics|the moon|gravity|the weather|religion"
    "|philosophy|the ocean|quantum computing|space|the news|a video game|the president|an atom|a dentist|a scooter"
    "|a museum|a statue|a flag|an island|a map|a clock|a lamp post|a bridge|a castle|a dragon|a ghost|a robot|a bee"
)
OUTSIDE_PLURALS = split(
    "glaciers|fossils|genes|bacteria|cells|bones|black holes|human rights|prime numbers|skyscrapers|tunnels|dice"
    "|movies|podcasts|bees|kings|clouds|ghosts|wars|elections|planets|magnets|volcanoes|boats|boots|candles|clocks"
    "|puppets|engines|bricks|rings|hats|gloves|magazines|posters|trucks|taxis|soap bubbles|marbles|coins|stamps"
)
OUTSIDE_ADJECTIVES = split(
    "red|wooden|tiny|silent|frozen|digital|rare|spicy|paper|royal|wild|northern|private|public|legal|secure|winter"
    "|summer|ancient|broken|golden|heavy|strange|famous|electric|invisible|round|modern|old"
)
OUTSIDE_VERBS = split(
    "build|draw|find|repair|sell|collect|describe|explain|measure|move|open|paint|photograph|rent|store|visit|study"
    "|invent|protect|lift|clean|design|count|catch|borrow|name|replace|test|carry|hide"
)
OUTSIDE_TASKS = split(
    "build a rocket|tell a joke|vote in an election|change my name|draw a dragon|sail a boat|catch a bus"
    "|watch the stars|prove a theorem|fight a cold|solve a riddle|win the lottery|juggle three balls|do a card trick"
    "|skip stones|build a snowman|fly a kite|surf a wave|shoot an arrow|treat a burn|stop a nosebleed|lower a fever"
    "|ride a horse|land on the moon|count to a million|act in a play|fold a paper crane|run for mayor|sue a company"
    "|read a map|whistle|learn magic|cross a desert|tame a lion|start a fire|hold my breath|become an actor"
)
