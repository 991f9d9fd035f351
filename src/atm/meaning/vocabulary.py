"""The words of movement: which verbs are one action, what counts, where it goes, how fast."""

_ACTIONS = {
    "walk": "walk stroll wander pace march stride strut saunter amble tiptoe trudge step sidestep stagger limp tread",
    "run": "run jog sprint dash",
    "move": "move go travel proceed head advance shuffle come approach retreat return continue_on",
    "jump": "jump leap bound",
    "hop": "hop",
    "skip": "skip",
    "turn": "turn spin rotate pivot twirl twist pirouette revolve",
    "sit": "sit",
    "stand_up": "stand_up rise arise",
    "stand": "stand wait pause stop",
    "lie": "lie lay",
    "crouch": "crouch squat",
    "kneel": "kneel",
    "kick": "kick",
    "punch": "punch jab hook uppercut box",
    "wave": "wave",
    "raise": "raise lift elevate",
    "lower": "lower",
    "bow": "bow",
    "bend": "bend",
    "lean": "lean",
    "clap": "clap applaud",
    "throw": "throw toss fling hurl pitch",
    "catch": "catch",
    "crawl": "crawl creep",
    "climb": "climb",
    "swim": "swim",
    "push": "push shove",
    "pull": "pull",
    "jumping_jack": "jumping_jack starjump",
    "pushup": "pushup",
    "situp": "situp",
    "lunge": "lunge",
    "cartwheel": "cartwheel",
    "somersault": "somersault",
    "flip": "flip",
    "roll": "roll tumble",
    "handstand": "handstand",
}
ACTION_OF = {word: action for action, words in _ACTIONS.items() for word in words.split()}
"""Base form -> action."""

ALIKE = (
    {"move", "walk"}, {"move", "run"}, {"move", "crawl"}, {"move", "climb"}, {"move", "skip"}, {"move", "swim"},
    {"jump", "hop", "skip"}, {"bow", "bend", "lean"}, {"raise", "wave", "climb"}, {"sit", "crouch", "kneel"},
    {"lie", "sit"}, {"punch", "push", "throw"}, {"somersault", "roll", "flip", "cartwheel"}, {"turn", "roll", "flip"},
    {"crawl", "kneel"}, {"lunge", "crouch"}, {"lunge", "walk"}, {"raise", "stand_up"}, {"lower", "bend", "crouch"},
)  # fmt: skip
"""Actions that people take for one another, or call by one another's names: never told apart by the word alone."""

UNDEMANDING = {"stand", "move", "lower", "raise", "stand_up"}
"""Actions that a caption often leaves unsaid: that one has them and the other has not tells little."""

ACTION_NOUNS = {
    "jump", "leap", "hop", "skip", "kick", "punch", "jab", "hook", "uppercut", "bow", "squat", "crouch", "turn",
    "spin", "rotation", "twirl", "pirouette", "revolution", "pivot", "clap", "wave", "lunge", "pushup", "situp",
    "cartwheel", "flip", "somersault", "handstand", "roll", "throw", "walk", "run", "jog", "stroll", "sprint", "march",
    "starjump",
}  # fmt: skip
"""Nouns that say that something is done: "a kick"."""
NOUN_VERB = {"rotation": "rotate", "revolution": "revolve"}
STEPS = {"step", "pace", "footstep", "stride"}

LIGHT = {"take", "make", "do", "perform", "give", "throw", "execute", "complete", "have", "land"}
"""Verbs that say nothing themselves where a noun of action follows: "takes a bow"."""
PHASES = {
    "begin", "start", "continue", "keep", "try", "attempt", "appear", "seem", "finish", "end", "proceed", "repeat",
    "prepare", "act", "use", "pretend", "decide", "happen", "alternate", "let", "want", "need", "be", "switch",
}  # fmt: skip
"""Verbs that only say how another one goes on."""

PARTS = {
    "arm": "arm", "hand": "arm", "fist": "arm", "elbow": "arm", "wrist": "arm", "forearm": "arm", "palm": "arm",
    "shoulder": "arm", "leg": "leg", "foot": "leg", "feet": "leg", "knee": "leg", "heel": "leg", "toe": "leg",
    "ankle": "leg", "thigh": "leg", "head": "head", "neck": "head", "torso": "torso", "waist": "torso",
    "hip": "torso", "chest": "torso",
}  # fmt: skip

DIRECTIONS = {
    "forward": "forward", "forwards": "forward", "ahead": "forward", "onward": "forward", "onwards": "forward",
    "backward": "backward", "backwards": "backward", "rearward": "backward",
    "up": "up", "upward": "up", "upwards": "up", "down": "down", "downward": "down", "downwards": "down",
    "leftward": "left", "leftwards": "left", "rightward": "right", "rightwards": "right",
}  # fmt: skip
CLOCKS = {"clockwise": "right", "counterclockwise": "left", "anticlockwise": "left"}
SPEEDS = {
    "slowly": "slow", "slow": "slow", "unhurriedly": "slow", "leisurely": "slow", "unhurried": "slow",
    "gradually": "slow", "quickly": "fast", "quick": "fast", "fast": "fast", "rapidly": "fast", "rapid": "fast",
    "briskly": "fast", "brisk": "fast", "swiftly": "fast", "swift": "fast", "hurriedly": "fast", "speedily": "fast",
    "speedy": "fast",
}  # fmt: skip

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = {word: number for number, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
VAGUE = {"couple": (2, 3), "few": (2, 6), "several": (3, None), "many": (3, None), "multiple": (2, None),
         "numerous": (3, None), "various": (2, None)}  # fmt: skip
"""Fewest and most that people mean who did not count."""
ADVERBS_OF_NUMBER = {"once": (1, 1), "twice": (2, 2), "thrice": (3, 3), "repeatedly": (2, None),
                     "continuously": (2, None)}  # fmt: skip
FRACTIONS = {"quarter": 90.0, "half": 180.0, "full": 360.0, "complete": 360.0}

SEQUENCE = {"then", "before", "after", "afterwards", "afterward", "finally", "next", "eventually", "lastly", "followed",
            "until", "later", "subsequently"}  # fmt: skip
TOGETHER = {"while", "whilst", "as", "simultaneously", "during", "meanwhile"}

EMPTY = {
    "a", "an", "the", "this", "that", "person", "man", "woman", "people", "human", "figure", "someone", "somebody",
    "character", "guy", "individual", "subject", "he", "she", "it", "they", "him", "them", "his", "her", "their",
    "its", "himself", "herself", "themselves", "themself", "itself", "is", "are", "was", "were", "be", "being", "has",
    "been", "and", "or", "of", "to", "in", "on", "at", "with", "for", "by", "from", "into", "off", "over", "onto",
    "along", "through", "around", "out", "again", "also", "first", "there", "here", "while", "time", "second",
    "minute", "moment", "degree", "floor", "ground", "chair", "seat", "speed", "rate", "way", "motion", "manner",
    "spot", "place", "air", "line", "direction", "side", "sideways", "step", "back", "straight", "turn", "own",
    "both", "each", "other", "together", "still", "motionless", "front", "above", "some", "which", "who", "so", "s",
    "very", "just", "now", "all", "another", "more", "bit", "little", "couple", "one", "once", "pace", "position",
    "return", "does", "path", "full", "complete", "body", "two", "single", "less", "total", "hand", "arm", "leg",
    "foot", "head",
}  # fmt: skip
"""Words that say nothing more once the events are read."""
