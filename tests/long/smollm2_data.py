"""Suites, calibration documents and traffic for a small English chat model.

Everything follows from a seed and from the tables below; no model had a part in
it. Suites are what a model of 135 million parameters gets partly right: common
knowledge and word relations as a choice of four, the same asked in the model's
chat form, short sequences and sums, copying by example, a code in a passage, and
odd patterns. Calibration and traffic are conversations on other questions about
the same things.
"""
import json
import random

CAPITALS = dict(
    France="Paris", Germany="Berlin", Italy="Rome", Spain="Madrid",
    Portugal="Lisbon", Austria="Vienna", Poland="Warsaw", Greece="Athens",
    Hungary="Budapest", Ireland="Dublin", Norway="Oslo", Sweden="Stockholm",
    Finland="Helsinki", Denmark="Copenhagen", Russia="Moscow", Japan="Tokyo",
    China="Beijing", India="New Delhi", Thailand="Bangkok", Egypt="Cairo",
    Kenya="Nairobi", Cuba="Havana", Canada="Ottawa", Mexico="Mexico City",
    Peru="Lima", Chile="Santiago", Argentina="Buenos Aires", Iran="Tehran",
    Iraq="Baghdad", Turkey="Ankara", Belgium="Brussels", Ukraine="Kyiv",
    Indonesia="Jakarta", Vietnam="Hanoi", Lebanon="Beirut", Syria="Damascus")
CONTINENTS = dict(
    France="Europe", Germany="Europe", Spain="Europe", Poland="Europe",
    Sweden="Europe", Greece="Europe", Japan="Asia", China="Asia",
    India="Asia", Thailand="Asia", Vietnam="Asia", Indonesia="Asia",
    Egypt="Africa", Kenya="Africa", Nigeria="Africa", Ghana="Africa",
    Ethiopia="Africa", Morocco="Africa", Brazil="South America",
    Peru="South America", Chile="South America", Argentina="South America",
    Colombia="South America", Bolivia="South America")
LANGUAGES = dict(
    France="French", Germany="German", Spain="Spanish", Italy="Italian",
    Portugal="Portuguese", Russia="Russian", Japan="Japanese",
    China="Chinese", Poland="Polish", Greece="Greek", Sweden="Swedish",
    Norway="Norwegian", Denmark="Danish", Turkey="Turkish", Finland="Finnish",
    Hungary="Hungarian", Mexico="Spanish", Brazil="Portuguese")
KINDS = {
    "fruit": "apple banana orange grape peach pear mango cherry lemon plum",
    "bird": "robin sparrow eagle owl parrot crow penguin duck swan pigeon",
    "fish": "salmon trout tuna shark cod herring carp sardine eel goldfish",
    "insect": "ant bee wasp beetle moth fly mosquito butterfly cricket flea",
    "tool": "hammer saw wrench drill screwdriver chisel pliers axe shovel file",
    "vegetable": "carrot potato onion cabbage spinach broccoli lettuce turnip "
                 "pea radish",
    "metal": "iron copper silver gold zinc lead tin nickel aluminum titanium",
    "color": "red blue green yellow purple pink brown white gray violet",
    "instrument": "piano violin guitar flute drum trumpet cello harp clarinet "
                  "banjo",
    "vehicle": "car truck bus train bicycle motorcycle boat ship airplane van",
    "sport": "football tennis hockey baseball golf swimming boxing cricket "
             "rugby volleyball",
    "planet": "Mars Venus Jupiter Saturn Mercury Neptune Uranus Earth"}
KINDS = {k: v.split() for k, v in KINDS.items()}
OPPOSITES = [p.split("/") for p in (
    "hot/cold big/small tall/short fast/slow up/down left/right day/night "
    "happy/sad light/dark old/young rich/poor strong/weak wet/dry hard/soft "
    "open/closed full/empty early/late loud/quiet clean/dirty first/last "
    "high/low in/out good/bad black/white push/pull win/lose buy/sell "
    "love/hate start/stop north/south east/west war/peace true/false "
    "heavy/light thick/thin long/short near/far deep/shallow sharp/dull "
    "brave/cowardly").split()]
COLORS = dict(grass="green", snow="white", blood="red", coal="black",
              sky="blue", milk="white", lemon="yellow", carrot="orange",
              chocolate="brown", banana="yellow", spinach="green",
              tomato="red", sun="yellow", night="black", cloud="white")
JOBS = dict(teacher="school", doctor="hospital", chef="kitchen",
            farmer="farm", pilot="airplane", judge="court", dancer="theater",
            librarian="library", sailor="ship", priest="church",
            scientist="laboratory", soldier="army", banker="bank",
            waiter="restaurant", mechanic="garage")
PARTS = dict(wheel="car", leaf="tree", page="book", finger="hand",
             petal="flower", wing="bird", roof="house", key="piano",
             toe="foot", sail="boat", screen="computer", string="guitar",
             chapter="book", branch="tree", engine="car")
ORDER = {
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "month": "January February March April May June July August September "
             "October November December",
    "number": "one two three four five six seven eight nine ten eleven twelve",
    "letter": " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
ORDER = {k: v.split() for k, v in ORDER.items()}
NAMES = ("Anna Ben Clara David Emma Frank Grace Henry Iris Jack Kate Leo Maria "
         "Noah Olivia Paul Ruth Sam Tina Victor").split()
THINGS = ("box book lamp chair table window garden bottle letter basket coat "
          "mirror candle ladder bucket carpet pillow blanket drawer kettle"
          ).split()
PLAIN = ("the weather was warm and the streets were quiet|a small dog slept by "
         "the door of the shop|the train to the city left early in the morning"
         "|children played in the park until the evening|an old man sold bread "
         "and cheese at the market|the river was high after a week of rain|two "
         "friends talked about the holiday over a cup of tea|the teacher wrote "
         "a long word on the board|snow covered the hills and the roofs of the "
         "village|the baker opened his shop before the sun came up").split("|")


def choice(rng, prompt, right, wrong):
    """An item with the right answer among three wrong ones."""
    wrong = sorted(set(wrong) - {right})
    four = [right] + rng.sample(wrong, 3)
    rng.shuffle(four)
    return {"prompt": prompt, "choices": [" " + c for c in four],
            "answer": four.index(right)}


def pairs():
    """Every question as (beginning, chat question, answer, its kind's all)."""
    def table(t, say, ask):
        for k, v in t.items():
            yield say.format(k), ask.format(k), v, list(t.values())

    yield from table(CAPITALS, "The capital of {} is",
                     "What is the capital of {}?")
    yield from table(LANGUAGES, "Most people in {} speak",
                     "Which language do most people in {} speak?")
    yield from table(CONTINENTS, "{} is a country in",
                     "On which continent is {}?")
    yield from table(COLORS, "The color of {} is usually",
                     "Which color does {} usually have?")
    yield from table(JOBS, "The place where a {} usually works is the",
                     "Where does a {} usually work?")
    yield from table(PARTS, "Every {} is a part of a",
                     "What is a {} a part of?")
    for kind, members in KINDS.items():
        for m in members:
            yield (f"Question: What kind of thing is {m}? Answer: a",
                   f"What kind of thing is {m}?", kind, list(KINDS))
    for a, b in OPPOSITES:
        every = [x for p in OPPOSITES for x in p]
        yield (f"The opposite of {a} is", f"What is the opposite of {a}?", b,
               [x for x in every if x != a])
        yield (f"The opposite of {b} is", f"What is the opposite of {b}?", a,
               [x for x in every if x != b])


def facts(rng, n):
    questions = list(pairs())
    rng.shuffle(questions)
    return [choice(rng, say, right, wrong)
            for say, _, right, wrong in questions[:n]]


def chat(rng, n, render):
    """The model's own chat form, and the beginning of an answer."""
    questions = list(pairs())
    rng.shuffle(questions)
    items = []
    for say, ask, right, wrong in questions[:n]:
        item = choice(rng, "", right, wrong)
        if say.startswith("Question"):
            say = "It is a kind of"
        item["prompt"] = render([{"role": "user", "content": ask}]) + say
        items.append(item)
    return items


def reasoning(rng, n):
    items = []
    while len(items) < n:
        kind = len(items) % 4
        if kind == 0:
            step, first = rng.randint(1, 9), rng.randint(1, 40)
            row = [first + step * i for i in range(6)]
            text = ", ".join(map(str, row[:5])) + ","
            near = [row[5] + d for d in (-3, -2, -1, 1, 2, 3, step)]
            right = str(row[5])
        elif kind == 1:
            a, b = rng.randint(2, 20), rng.randint(2, 20)
            text, right = f"Question: What is {a} + {b}?\nAnswer:", str(a + b)
            near = [a + b + d for d in (-10, -2, -1, 1, 2, 10)]
        elif kind == 2:
            name, k = rng.choice(NAMES), rng.choice(list(ORDER))
            row = ORDER[k]
            i = rng.randrange(len(row) - 4)
            text = f"{', '.join(row[i:i + 3])},"
            right, near = row[i + 3], [w for w in row if w != row[i + 3]]
            text = f"{name} says: {text}"
        else:
            who, a, b = rng.choice(NAMES), rng.randint(5, 20), rng.randint(1, 4)
            what = rng.choice(THINGS)
            text = (f"{who} has {a} {what}s and gives {b} away. Now {who} has")
            right = str(a - b)
            near = [a - b + d for d in (-4, -2, 1, 2, 4) if a - b + d > 0]
        items.append(choice(rng, text, right, list(map(str, near))))
    return items


def instructions(rng, n):
    """Copying, capitals, first letters, by two examples."""
    words = sorted({w for v in KINDS.values() for w in v if w.islower()})
    rules = [("Word: {}\nTwice:", lambda w: f"{w} {w}"),
             ("Word: {}\nCapitals:", str.upper),
             ("Word: {}\nFirst letter:", lambda w: w[0]),
             ("Say: {}\nRepeat:", lambda w: w)]
    items = []
    for i in range(n):
        form, rule = rules[i % len(rules)]
        *shown, asked = rng.sample(words, 4)
        text = "".join(f"{form.format(w)} {rule(w)}\n\n" for w in shown)
        items.append({"prompt": text + form.format(asked), "stop": "\n",
                      "match": "exact", "target": rule(asked)})
    return items


def retrieval(rng, n):
    """A code in a passage, asked for afterwards."""
    items = []
    for _ in range(n):
        lines = [s.capitalize() + "." for s in rng.sample(PLAIN, 2)]
        what, other = rng.sample(THINGS, 2)
        code, decoy = (str(rng.randint(1000, 9999)) for _ in "ab")
        lines.insert(rng.randrange(3), f"The code of the {what} is {code}.")
        lines.insert(rng.randrange(4), f"The code of the {other} is {decoy}.")
        items.append({"prompt": " ".join(lines) + f"\nThe code of the {what} "
                      "is", "stop": [".", "\n"], "match": "exact",
                      "target": code})
    return items


def edge(rng, n):
    """Patterns of signs, emoji, digits and rare scripts."""
    signs = ["###", "///", "***", "---", "~~~", "+++", "===", "%%%"]
    emoji = list("🍎🎵🚢📕🐟🌲🔑🚲")
    words = ["да", "нет", "ja", "nein", "oui", "non", "はい", "sì"]
    items = []
    for i in range(n):
        row = (signs, emoji, words, [str(d) * 3 for d in range(1, 9)])[i % 4]
        a, b, c = rng.sample(row, 3)
        text, right = [(f"{a} {b} " * 4 + a, b), (f"{a} {b} {c} " * 3 + a, b),
                       (" ".join([a] * 7), a)][i // 4 % 3]
        items.append(choice(rng, text, right, row))
    return items


SUITES = {"facts": facts, "reasoning": reasoning, "instructions": instructions,
          "retrieval": retrieval, "edge": edge}


def suite(name, n, seed, render):
    rng = random.Random(f"{seed} {name}")
    made = chat(rng, n, render) if name == "chat" else SUITES[name](rng, n)
    return "".join(json.dumps(dict(id=f"{name}-{i:04d}", **item),
                              ensure_ascii=False) + "\n"
                   for i, item in enumerate(made))


def turn(rng):
    """A question and an answer that no suite has in this form."""
    kind = rng.randrange(6)
    if kind == 0:
        k = rng.choice(list(KINDS))
        some = rng.sample(KINDS[k], rng.randint(2, 4))
        return (f"Name {len(some)} things that are a kind of {k}.",
                f"Here are some: {', '.join(some[:-1])} and {some[-1]}.")
    if kind == 1:
        a, b = rng.choice(OPPOSITES)
        return (f"Use the words {a} and {b} in one sentence.",
                f"{rng.choice(NAMES)} said that the {rng.choice(THINGS)} was "
                f"{a}, but {rng.choice(NAMES)} found it {b}.")
    if kind == 2:
        c = rng.choice(list(CAPITALS))
        return (f"I want to travel to {c}. Any ideas?",
                f"{CAPITALS[c]} is a good place to begin. "
                f"{rng.choice(PLAIN).capitalize()}.")
    if kind == 3:
        a, b = rng.randint(1, 60), rng.randint(1, 60)
        return (f"{rng.choice(NAMES)} has {a} {rng.choice(THINGS)}s and finds "
                f"{b} more. How many are there in all?",
                f"{a} + {b} = {a + b}. There are {a + b} in all.")
    if kind == 4:
        who, what = rng.choice(NAMES), rng.choice(THINGS)
        return (f"Tell me a short story about {who} and a {what}.",
                f"One day {who} found a {what}. {rng.choice(PLAIN).capitalize()}"
                f". {who} took the {what} home, and "
                f"{rng.choice(PLAIN)}.")
    j = rng.choice(list(JOBS))
    return (f"What does a {j} do all day?",
            f"A {j} works in a {JOBS[j]} and helps {rng.choice(NAMES)} with a "
            f"{rng.choice(THINGS)}. {rng.choice(PLAIN).capitalize()}.")


def conversations(name, n, seed):
    """n lists of messages."""
    rng = random.Random(f"{seed} {name}")
    made = []
    for _ in range(n):
        messages = []
        for _ in range(rng.randint(2, 4)):
            ask, answer = turn(rng)
            messages += [{"role": "user", "content": ask},
                         {"role": "assistant", "content": answer}]
        made.append(messages)
    return made


def documents(name, texts):
    return "".join(json.dumps({"id": f"{name}-{i:04d}", "text": t},
                              ensure_ascii=False) + "\n"
                   for i, t in enumerate(texts))
