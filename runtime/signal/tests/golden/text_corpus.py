"""The lines of the text corpus: sentences written for it, edge cases, and lines drawn from many scripts by seed."""

import random
import unicodedata

SENTENCES = """
The train was late again, but nobody on the platform seemed to mind.
I can't believe you'd say that; it's the kindest thing I've heard all week!
She laughed so hard that the tea came out of her nose... twice.
Honestly? Worst sandwich of my life. 2/10, would not chew again.
He didn't answer. He just looked at the letter, folded it, and left.
We won!!! We actually WON!!! I'm shaking.
Don't touch the red button (unless the green one is already blinking).
My grandmother's garden smelled of rain, mint & old wood.
"Are you sure?" he whispered -- "because I'm not."
It costs $4.99 (or 3,50 €), which is 12% more than in 2019.
e-mail: someone@example.org, see https://example.org/a_b?c=d#e
The snow fell softly over the empty parking lot.
Nothing works. I've tried everything, and nothing works.
Thank you, thank you, thank you: you saved my day.
It's fine. Really. Everything is fine.
What a waste of a beautiful morning.
I'm not angry, I'm just disappointed — again.
The dog waited at the door until midnight.
Who put glitter in the printer?
That was, without any doubt, a very boring and unremarkable meeting.
unhappiness, happily, happier, unhappier, happiest, happening
running runner runs ran rerun overrun underrunning
Café crème à la carte, naïve façade, déjà vu, jalapeño, smörgåsbord, Ångström, crêpe, Zoë.
CAFÉ CRÈME À LA CARTE, NAÏVE FAÇADE, DÉJÀ VU, JALAPEÑO, SMÖRGÅSBORD, ÅNGSTRÖM, CRÊPE, ZOË.
Der Fuß des Mädchens paßt nicht in den großen Schuh; STRASSE, GROẞ, Maße.
Ich hätte gern zwölf Brötchen, süße Äpfel und Öl.
Le cœur a ses raisons; l'œuf, la sœur, l'été où il naît.
El niño comió piñas y pingüinos de azúcar, ¿verdad? ¡Claro!
Zażółć gęślą jaźń, proszę cię, Łukaszu.
Příliš žluťoučký kůň úpěl ďábelské ódy.
İstanbul'da ılık bir gün; IŞIK, ışık, İĞNE, iğne, DİYARBAKIR.
Þetta er ósköp venjulegur dagur á Íslandi, sagði Æsa.
Tôi yêu tiếng Việt, những con đường nhỏ và cơn mưa mùa hạ.
Cuộc sống vẫn tiếp diễn, dù buồn hay vui.
Ο Σίσυφος κουράστηκε, ΟΔΥΣΣΕΥΣ ΚΑΙ ΣΟΦΟΣ ΚΟΣΜΟΣ, ὀξεῖα ἄνθρωπος ᾧ.
Всё будет хорошо, ЁЖИК в тумане, объявление, Йод и йога.
Їжак і ґанок, Український Ґудзик, ЩАСТЯ.
Ђорђе и Љубица чекају Њујорк, Џез.
שלום עולם, איך אתה מרגיש היום? בְּרֵאשִׁית ״ציטוט״ ־ מקף.
مرحبا بالعالم، كيف حالك اليوم؟ السَّلَامُ عَلَيْكُمْ ــــ ١٢٣٤٥.
یہ ایک اچھا دن ہے، شکریہ۔ می‌خواهم به خانه بروم؟
नमस्ते दुनिया, आज मौसम अच्छा है। क्षत्रिय, ज़िन्दगी, फ़िल्म ॥
আমি বাংলায় গান গাই। ড় ঢ় য় কো
வணக்கம் உலகம், இன்று எப்படி இருக்கிறீர்கள்? கௌ கொ
สวัสดีชาวโลก วันนี้อากาศดีมาก น้ำ ๆ ๑๒๓
ພາສາລາວ ງາມ ນ້ຳ
မင်္ဂလာပါ ကမ္ဘာလောက။
ខ្ញុំស្រឡាញ់ភាសាខ្មែរ។
བོད་སྐད་ གཱྀ བཀྲ་ཤིས་བདེ་ལེགས། ཀྵ
გამარჯობა მსოფლიო, ᲒᲐᲛᲐᲠᲯᲝᲑᲐ, Ⴀⴀ
Բարեւ աշխարհ, և ինչպե՞ս ես։ ՇՆՈՐՀԱԿԱԼՈՒԹՅՈՒՆ
ሰላም ልዑል፣ እንዴት ነህ? ፡፡
ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ꮳꮃꭹ
안녕하세요 세계, 오늘 기분이 어때요? 값이 싸다. 꽃밭에서
한국어는 받침이 있는 글자가 많습니다: 닭, 삶, 읽다, 없다.
こんにちは世界。今日はとても楽しかったです!「本当に?」ガギグゲゴ パピプ ヴ
カタカナ と ひらがな、ﾊﾝｶｸ ｶﾞｷﾞ ～ ー ・
我今天很高兴,你呢?她说:“没关系。”《红楼梦》、【注意】……
漢字とkanaとABCが混ざった文𠮷野家𠀀𪜀𫝀𫠝㐀䶵
繁體中文與简体中文，全角ＡＢＣ１２３！？
Mixed 中文and English文字without空格spaces
"""

EDGE = [
    "", " ", "\t", "\n", "\r\n", "   \t\n  ", "a", "A", ".", "...", "a.", ".a", "a b", " a ", "\u00a0", "\u3000",
    "tab\tseparated\tvalues", "line\nfeed and\r\nreturn\rhere", "form\x0cfeed vertical\x0btab", "nul\x00in\x00side",
    "\x00", "\x01\x02\x03", "bell\x07 escape\x1b[31m delete\x7f", "next\x85line \x80\x9f", "\x1c\x1d\x1e\x1f sep\x1carators",
    "zero\u200bwidth\u200cnon\u200djoiner\ufeffbom\u2060word", "\ufeffleading mark", "soft\u00adhyphen\u00ad", "\u00ad",
    "replacement \ufffd char\ufffdacter", "\ufffd", "private \ue000\uf8ff use \U000f0000 \U0010fffd", "\U0010ffff\uffff\ufffe",
    "left\u200emarks\u200f \u202aembed\u202c \u2066iso\u2069", "line\u2028separator para\u2029graph", "ogham\u1680space \u180e mongolian",
    "en\u2002em\u2003thin\u2009hair\u200afigure\u2007narrow\u202fmedium\u205f", "e\u0301 a\u0308 o\u0302\u0323 \u0301alone",
    "\u0301", "\u0301\u0301\u0301", "a\u0323\u0307 a\u0307\u0323", "q\u0307\u0323\u0334\u0345\u0360o", "\u1e9b\u0323 \u212b \u2126 \u212a",
    "Zalgo: H\u0336\u0321\u0308e\u0337\u0322l\u0335\u0327p\u0334\u0328", "\u0344\u0340\u0341\u0343", "\u0f73\u0f75\u0f81",
    "\U0001f600 grin \U0001f602\U0001f62d tears", "family \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466!", "\u2764\ufe0f \u2764\ufe0e \u2764",
    "flag \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "wave \U0001f44b\U0001f3fb\U0001f44b\U0001f3ff", "keycap 1\ufe0f\u20e3 #\ufe0f\u20e3",
    "rainbow \U0001f3f3\ufe0f\u200d\U0001f308 pirate \U0001f3f4\u200d\u2620\ufe0f", "england \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "new \U0001fae0\U0001fae8\U0001fa77\U0001fac6", "\u00a9 \u00ae \u2122 \u2120 \u20ac\u00a3\u00a5\u20bf \u2192\u21d2 \u221e\u2248\u2260 \u2713\u2717",
    "\u0130 I i \u0131 \u0130STANBUL", "\u00df \u1e9e STRASSE stra\u00dfe", "\u03a3\u03c3\u03c2 \u039f\u0394\u039f\u03a3 \u1fbe \u0345", "\u01c4\u01c5\u01c6 \u01c7 \u01f1 \u01f2",
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06 ligatures \ufb13", "\u2160\u2161\u2162 \u2170 \u24b6\u24d0 \u2460 \u00bd\u00bc \u00b2\u00b3 x\u2082",
    "\U0001d400\U0001d41a \U0001d49c \U0001d504 \U0001d538 \U0001d7d8 \U0001d6a8", "\u210d\u2115\u2102 \u2211\u222b\u2202\u221a \u0398\u03d1 \u03c0\u03d6",
    "\U00010400\U00010428 \U000118a0\U000118c0 \U0001e900\U0001e922 \U00010c80\U00010cc0 \U00016e40", "\ua64a\u1c80\u1c88\ua7ae\ua7b3\ua7c5\ua7f5 \u2c62\u023a\u023e",
    "\u10a0\u2d00 \u1c90\u10d0 \u13a0\uab70 \u0587", "\uac00\uac01\ud7a3 \u1100\u1161\u11a8 \u3131\u314f", "\uf900\ufa0e\ufa6a\U0002f800 \u2f00\u3005\u3007",
    "\U0002a6d6\U0002a6d7\U0002a700\U0002b734\U0002b740\U0002b81d\U0002b820\U0002b91f\U0002b920\U0002ceaf\U0002ceb0\U00030000", "\u3400\u4dbf\u4dc0\u4e00\u9fff\ua000\u33ff",
    "\u3099\u309a \u304b\u3099 \u30cf\u309a \u302e\u302f \u302a", "\U0001d15e\U0001d165\U0001d166 \U0001d1bb", "\U00011938 \U000105c9 \U00011383 \U00016121 \U00016d68",
    "a\u0898\u0334\u089f b\u1acf\u0301 c\U00010eab\u0323", "\U00016ff0\u0334\U00016ff1", "\u1885\u1886 \u180f a\u180bb",
    "\u061d\u061c \u2e43\u2e52\u2e55\u2e5d \u1b7d \U0001e95e", "\u166d\U000111c9 \u0060\u00b4\u02c6 ^ ~ | < > = + $", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "\u2018single\u2019 \u201cdouble\u201d \u201elow\u201c \u00abguil\u00bb \u2039s\u203a \u2010\u2011\u2012\u2013\u2014\u2015 \u2026 \u00a1\u00bf \u00b7\u2022 \u2020\u2021 \u00a7\u00b6 \u2030",
    "[CLS] [SEP] [PAD] [UNK] [MASK] ##ing # #ing ##", "don't won't it's o'clock rock'n'roll y'all'd've", "snake_case kebab-case CamelCase path/to/file C:\\dir",
    "1,234,567.89 -42 +7 3.14e-10 0x1F 50% 1/2 20:15 2026-11-22", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x" * 99, "x" * 100, "x" * 101, "y" * 1000,
    "\u00e9" * 100, "\u00e9" * 101, "e\u0301" * 60, "\uac01" * 33, "\uac01" * 34, "\uac00" * 50, "\uac00" * 51, "\u0301" * 300 + "end", "." * 150, "\u4e00" * 150,
    "unbreak\u200bable" * 12, "ab " * 400, "a" * 8 + " " + "a" * 9, "happy" * 21,
]  # fmt: skip

SCRIPTS = [
    (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x5FF),
    (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0xDFF), (0xE00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x11FF),
    (0x1200, 0x139F), (0x1780, 0x18AF), (0x1AB0, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x23FF),
    (0x2460, 0x27BF), (0x2C00, 0x2E7F), (0x3000, 0x30FF), (0x3130, 0x33FF), (0x3400, 0x9FFF), (0xA000, 0xABFF),
    (0xAC00, 0xD7A3), (0xF900, 0xFFFF), (0x10000, 0x10FFF), (0x11000, 0x12FFF), (0x16000, 0x16FFF),
    (0x1D000, 0x1D7FF), (0x1E000, 0x1F0FF), (0x1F300, 0x1FAFF), (0x20000, 0x2FFFF), (0, 0x10FFFF),
]  # fmt: skip


def mixed(rng, length):
    """A line of short stretches, each from one script, with spaces and full stops between."""
    line = []
    while len(line) < length:
        first, last = rng.choice(SCRIPTS)
        for _ in range(rng.randint(1, 9)):
            code = rng.randint(first, last)
            if not 0xD800 <= code < 0xE000:
                line.append(chr(code))
        line.append(rng.choice(("", "", " ", ". ")))
    return "".join(line)[:length]


def shuffled(rng, words, count):
    return " ".join(rng.choice(words) for _ in range(count))


def lines():
    sentences = SENTENCES.strip().split("\n")
    words = " ".join(sentences).split()
    rng = random.Random(41)
    corpus = sentences + EDGE
    corpus += [unicodedata.normalize(form, s) for s in sentences[22:] for form in ("NFD", "NFKC")]
    corpus += [s.upper() for s in sentences[22:] if s.upper() != s]
    corpus += [shuffled(rng, words, rng.randint(1, 40)) for _ in range(40)]
    corpus += [mixed(rng, rng.randint(1, 120)) for _ in range(120)]
    long = shuffled(rng, words, 3000)[:10_000]
    assert len(long) == 10_000
    corpus += [long, mixed(rng, 10_000), "z" * 10_000]
    # Lone surrogates are not text.
    return [line.encode("utf-8", "ignore").decode() for line in corpus]
