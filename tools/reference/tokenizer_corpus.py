"""Strings that test a sentencepiece tokenizer: languages, scripts, code, runs of blanks, markers as text, fuzz."""
import random

SENTENCES = """\
The quick brown fox jumps over the lazy dog.
I don't know; she'd said they're "quite all right", hadn't she?
In 1969, Apollo 11 travelled 384,400 km — roughly 1.28 light-seconds.
E = mc² and a² + b² = c², while ∑_{i=0}^{n} xᵢ ≥ ∫₀¹ f(t) dt.
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Straßenbahnhaltestellenüberdachungsgenehmigungsverfahren
Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia; ¿dónde está? ¡Aquí!
À noite, vovô Kowalsky vê o ímã cair no pé do pinguim.
Pchnąć w tę łódź jeża lub ośm skrzyń fig.
Příliš žluťoučký kůň úpěl ďábelské ódy.
Árvíztűrő tükörfúrógép
Høj bly gom vandt fræk sexquiz på wc.
Flygande bäckasiner söka hwila på mjuka tuvor.
Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa.
Pijamalı hasta yağız şoföre çabucak güvendi.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Жебракують філософи при ґанку церкви в Гадячі.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.
דג סקרן שט בים מאוכזב ולפתע מצא חברה.
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر.
من این کتاب را دیروز خریدم و هنوز نخوانده‌ام.
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले।
আমি বাংলায় গান গাই, আমি বাংলার গান গাই।
யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்.
తెలుగు భాష మధురమైనది.
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน
ພາສາລາວ ງ່າຍ ບໍ່?
မြန်မာဘာသာစကား
ភាសាខ្មែរ
Tiếng Việt có nhiều dấu: ắ ằ ẳ ẵ ặ ợ ữ.
いろはにほへと ちりぬるを わかよたれそ つねならむ
吾輩は猫である。名前はまだ無い。
カタカナ、ひらがな、漢字、ｶﾅ、ＡＢＣ、１２３。
天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。
我能吞下玻璃而不伤身体。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.
Հայոց լեզուն գեղեցիկ է։
ქართული ენა ლამაზია.
አማርኛ የኢትዮጵያ ቋንቋ ነው።
བོད་སྐད།
ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ
Монгол хэл, ᠮᠣᠩᠭᠣᠯ
Kiswahili ni lugha ya Afrika Mashariki.
Bahasa Indonesia: saya makan nasi goreng di warung.
Ἐν ἀρχῇ ἦν ὁ λόγος
𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕄𝕒𝕥𝕙 𝒽𝒶𝓃𝒹
𓀀𓀁𓀂 𐍈 𒀀 🜁""".split("\n")

CODE = [
    "def f(x):\n    return x ** 2  # square\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];\n}\n",
    "template <typename T>\nstd::vector<T> Sorted(std::vector<T> v) {\n  std::ranges::sort(v);\n  return v;\n}",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name HAVING COUNT(*) > 1;",
    "fn main() -> Result<(), Box<dyn Error>> {\n    println!(\"{:?}\", env::args());\n    Ok(())\n}",
    "const f = async ({ a, b = 3 }) => `${a}-${await g(b)}`;",
    "#!/bin/sh\nset -eu\nfor f in *.txt; do mv -- \"$f\" \"${f%.txt}.md\"; done\n",
    "{\"id\": 12, \"tags\": [\"a\", null, true], \"pi\": 3.14159e0}",
    "<!DOCTYPE html>\n<html><body><p class=\"x\">Hi &amp; bye</p></body></html>",
    "\\begin{equation}\n  \\frac{\\partial u}{\\partial t} = \\alpha \\nabla^2 u\n\\end{equation}",
    "x86_64-linux-gnu-g++ -O3 -march=native -o a.out main.cc && ./a.out | tee log.txt",
    "https://example.org/path/to/page.html?q=a+b&lang=de#section-2",
    "user.name+tag@example.co.uk",
    "C:\\Program Files\\App\\bin\\app.exe",
    "0xDEADBEEF 0b1010 1_000_000 1e-9 -273.15 3.0f 42u64",
    "if (a&&b||!c) a^=b>>3|~c;",
    "\t\t\tif x:\n\t\t\t\tpass\n",
    "- [ ] todo\n- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "@Override\npublic String toString() { return \"Point(\" + x + \", \" + y + \")\"; }",
    "SGVsbG8gd29ybGQh==",
    "550e8400-e29b-41d4-a716-446655440000",
    "2026-02-28T23:59:59.999Z",
]

MARKERS = [
    "<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "[multimodal]", "<start_of_turn>", "<end_of_turn>", "<unused0>",
    "<unused98>", "<unused99>", "<unused6241>", "<start_of_image>", "<end_of_image>", "<image_soft_token>",
    "<0x41>", "<0x0A>", "<s>", "</s>", "<b>", "</b>", "<h1>", "</h6>", "<table>", "</td>", "<code>", "</code>",
    "<bbox>", "<iframe>", "<br>", "<p>", "<H1>", "<h7>", "<h1 >",
]

EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "❤️", "❤", "🏳️‍🌈", "1️⃣", "🤷🏻‍♂️", "☃", "✈︎", "🫠", "🧑‍🚀"]

ODD = [
    "", " ", "  ", "\n", "\t", "\r", "\r\n", "\n\r\n", "\v\f", "a", "é", "e\u0301", "\u2581", "\u2581\u2581", "a\u2581b",
    "\u2581 \u2581", " a", "a ", " a ", "  a  b  ", "\ta\tb\t", "\n a", " \n", "\n \n  \n", "\u00a0", "a\u00a0b",
    "\u3000全角\u3000", "\u200b", "a\u200bb", "\ufeffBOM", "\u202eabc\u202c", "\u0001\u0002\u007f", "\u0085", "\u2028x\u2029",
    "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "ﬁ ﬂ", "①②③", "½ ⅓", "Ⅷ", "ｆｕｌｌ", "ß ẞ", "İı", "ǆ ǅ", "Å Å",
    "한글", "\u1112\u1161\u11ab", "क्षि", "ก็", "zalgo\u0336\u0335\u0334", "0", "00", "1234567890", "3.14", "1,000,000", "-5", "+7", "१२३",
    "٠١٢", "²³", "a1b2c3", "v2.0.1-rc3", "...", "!!!???", "-----", "=======", "#######", "********", "________", "''", "\"\"",
    "``", "```python\n```", "()[]{}", "<<>>", "<", ">", "<>", "</", "<a", "a>", "<start_of_turn", "start_of_turn>",
    "&nbsp;", "%20%41", "\\n\\t\\u0041", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababab", "XXXXXXXXXX",
    "thethethethe", "the the the", "THE The tHe", "camelCaseIdentifier", "snake_case_identifier", "SCREAMING_SNAKE",
    "kebab-case-id", "ThisIsAVeryLongIdentifierWithoutAnyBlank", "antidisestablishmentarianism", "qqqzzzxxx",
]

_ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJ klmnop ", "0123456789", "  \t\n", "äöüßéèêñçåøžłőğ", "абвгдежзиклмнопрстуя ",
    "αβγδεζηθικλμ", "אבגדהוזחט ", "ابتثجحخدذرز ", "कखगघचछजझािीुूे ", "กขคงจฉชซาิีึ", "あいうえおかきくけこアイウ", "日本語中文字漢文学生大小",
    "가나다라마바사아한국어", ".,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`", "\u2581 ", "😀👍🏽❤️🇩🇪\u200d", "\u0300\u0301\u0308\u0327", "𝔘𝔫𝒽𓀀𐍈",
    "\u00a0\u200b\u3000\ufeff",
]


def _runs():
    for blank, most in ((" ", 35), ("\n", 35), ("\t", 35)):
        for n in [*range(1, 9), 15, 16, 17, 30, 31, 32, most, 63]:
            yield blank * n
            if n in (2, 7, 31, 32):
                yield "a" + blank * n + "b"


def _marked():
    for i, marker in enumerate(MARKERS):
        yield marker
        yield ("say " + marker + " now", "x" + marker + "y", marker + marker, " " + marker + "\n")[i % 4]
    yield "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n"
    yield "<bos><start_of_turn>user\nIgnore this.<end_of_turn>\n"
    yield "<table><tr><td>1</td><td>2</td></tr></table>"
    yield "<h1>Title</h1>\n<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>"


def _fuzz(count, seed):
    rng = random.Random(seed)
    words = [w for s in SENTENCES for w in s.split()]
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 12)):
            kind = rng.random()
            if kind < 0.30:
                parts.append(rng.choice(words))
            elif kind < 0.40:
                parts.append(rng.choice(MARKERS))
            elif kind < 0.45:
                parts.append(rng.choice(EMOJI))
            elif kind < 0.65:
                parts.append(rng.choice(" \n\t") * rng.choice((1, 1, 1, 2, 3, 4, 9, 31, 33)))
            else:
                alphabet = rng.choice(_ALPHABETS)
                parts.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 10))))
        yield "".join(parts)


def strings(fuzzed=250, seed=0):
    """Returns every string once, in a fixed order."""
    everything = [*SENTENCES, *(" " + s for s in SENTENCES[:8]), *CODE, *EMOJI, "".join(EMOJI), *ODD, *_runs(), *_marked()]
    everything += ["a" * 700, "ab " * 300, " ".join(SENTENCES), "\n".join(CODE)]
    return list(dict.fromkeys(everything + list(_fuzz(fuzzed, seed))))
