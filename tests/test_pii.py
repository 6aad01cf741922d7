import ast
import ipaddress
import re
from random import Random

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from tuner import pii
from tuner.pii import mask

PHONE = pii.PHONE

MASKED = [
    ("Write to john.doe@gmail.com.", "Write to user@example.com.", ["email"]),
    ("Mail <Mary_O+news@mail.firm.co.uk>!", "Mail <user@example.com>!", ["email"]),
    ("mailto:a@b.de,c@d.org", "mailto:user@example.com,user@example.com", ["email", "email"]),
    ("See https://shop.com/?email=bob@corp.com&x=1", "See https://shop.com/?email=user@example.com&x=1", ["email"]),
    ("scp bob@server.corp.com:/home/bob .", "scp user@example.com:/home/bob .", ["email"]),
    ('user = {"mail": "eve@startup.io"}', 'user = {"mail": "user@example.com"}', ["email"]),
    ("문의는 kim@naver.com으로 주세요", "문의는 user@example.com으로 주세요", ["email"]),
    ("Contact...zed@corp.com", "Contact...user@example.com", ["email"]),
    ("Text 2125552671@vtext.com", "Text user@example.com", ["email"]),
    ("+12125552671@vtext.com", "+user@example.com", ["email"]),
    ("The host is 93.184.216.34.", "The host is 192.0.2.1.", ["ip"]),
    ("http://93.184.216.34:8080/a", "http://192.0.2.1:8080/a", ["ip"]),
    ('93.184.216.34 - - "GET /" 200', '192.0.2.1 - - "GET /" 200', ["ip"]),
    ("101.12.13.14 logged in", "192.0.2.1 logged in", ["ip"]),
    ("Ping 3.4.5.6 first", "Ping 192.0.2.1 first", ["ip"]),
    ("서버 주소는 3.4.5.6입니다", "서버 주소는 192.0.2.1입니다", ["ip"]),
    ("from 2a00:1450:4001:81b::200e: ok", "from 2001:db8::1: ok", ["ip"]),
    ("[2607:f8b0:4005:80a:0:0:0:200e]:443", "[2001:db8::1]:443", ["ip"]),
    ("::ffff:93.184.216.34", "::ffff:192.0.2.1", ["ip"]),
    ("Call +1 212 555 2671 now", f"Call {PHONE} now", ["phone"]),
    ("+12125552671", PHONE, ["phone"]),
    ("(+82) 10-1234-5678 / +82-10-1234-5678", f"{PHONE} / {PHONE}", ["phone", "phone"]),
    ("+49 (0)30 901820", PHONE, ["phone"]),
    ("+49 30 9018 2012", PHONE, ["phone"]),
    ("+12125552671x5", f"{PHONE}x5", ["phone"]),
    ("+44 20 7946 0958 2 times", f"{PHONE} 2 times", ["phone"]),
    ("+1 212 555 2671 +12125552672", f"{PHONE} {PHONE}", ["phone", "phone"]),
    ("(212) 555-2671 or 212-555-2671", f"{PHONE} or {PHONE}", ["phone", "phone"]),
    ("1) 415-555-2671\n2) 415.555.2672", f"1) {PHONE}\n2) {PHONE}", ["phone", "phone"]),
    ("1-212-555-2671, ext. 12", f"{PHONE}, ext. 12", ["phone"]),
    ("Phone: 212 555 2671", f"Phone: {PHONE}", ["phone"]),
    ("You can call me at 2125552671.", f"You can call me at {PHONE}.", ["phone"]),
    ("010-1234-5678로 연락 주세요", f"{PHONE}로 연락 주세요", ["phone"]),
    ("휴대폰 01012345678, 02-312-3456", f"휴대폰 {PHONE}, {PHONE}", ["phone", "phone"]),
    ("010 1234 5678로 전화", f"{PHONE}로 전화", ["phone"]),
    ("My card is 4539 5787 6362 1486.", "My card is CARD_NUMBER.", ["card"]),
    ("4539-5787-6362-1486 12/27", "CARD_NUMBER 12/27", ["card"]),
    ("card_number = 4539578763621486", "card_number = CARD_NUMBER", ["card"]),
    ("Amex 3714 496353 98456", "Amex CARD_NUMBER", ["card"]),
    (
        "Ann (ann@corp.com, 212-555-2671) paid with 4539578763621486 from 93.184.216.34.",
        f"Ann (user@example.com, {PHONE}) paid with CARD_NUMBER from 192.0.2.1.",
        ["email", "phone", "card", "ip"],
    ),
]

UNTOUCHED = [
    "git clone git@github.com:user/repo.git && cd repo",
    "ssh user@localhost; ping user@host",
    '@decorator\n@app.route("/")\nasync def f(): ...',
    "y = x@self.weight + q@k.transpose(-2, -1) + a@b.T + q@k.to(device) + q@k.at.real",
    "npm install react@18.2.0 @types/node@20.1.4 && cp icon@2x.png .",
    "https://registry.io/pkg/left.pad@corp.com",
    "postgres://admin:secret@db.corp.com:5432/shop",
    "systemctl restart getty@tty1.service",
    "someone@example.com, a@mail.example.org, b@example.net",
    "Follow @mrs_example! The meeting is @ 5.",
    "10.0.0.1, 172.16.3.4, 192.168.1.1 and 127.0.0.1 are private, 192.0.2.7 is for documentation",
    "The mask is 255.255.255.0, the class B networks go from 128.0.0.0 to 191.255.0.0, multicast is 224.0.0.251",
    "Google's DNS is 8.8.8.8 and Cloudflare's 1.1.1.1 or 2606:4700:4700::1111",
    "Python 3.11.7, v1.2.3.4, version 93.184.216.34, pkg==4.13.77.90, Chrome/93.184.216.34, lib-93.184.216.34.tar.gz",
    "**2.1.1.1: Responsible fundraising**\n3.2.1.4 Methods\nsee 7.9.2.2, § 93.184.1.2, 버전 93.184.216.34",
    'ObjectIdentifier("2.5.29.46")',
    "999.184.216.34 and 93.184.216 and 1.93.184.216.34",
    "A::B, std::vector, 12:34:56, 2023:10:11, fe80::1, 2001:db8::5, ::1, de:ad:be:ef:00:01",
    "The number of 2125552671 grains, 212 555 2671 in all",
    "12345, 555 + 1234, 555-1234, 1,234,567,890.12",
    "What is 2125552671 + 5? What is 612-345-1000? Calculate: 612-345-1000. What is 212-555-2671 = ?",
    "x+12125552671, 5 +12125552671, 9999 + 12125552671, i++12125552671, +12125552671abc",
    "$212-555-2671 and 3.1415926535 and -1.+1.41421356j",
    "On 2023-10-11 12:34:56, from 1939-1945, 01/02/2003, 2024.01.15",
    "ISBN 978-3-16-148410-0, ISBN 0-306-40615-2",
    "the Korean hotline 1588-1945, the lifeline 1-800-273-8255, +1 800 273 8255",
    "(555) 123-4567 and 123-456-7890 belong to nobody",
    "212-555-0123 and +1 (650) 555-0199 are fiction",
    "Test with 4111111111111111 or 4242 4242 4242 4242.",
    "4539 5787 6362 1487 has a wrong check digit",
    "the numbers 4539 5787 6362 1486 1234 and 1234 4539 5787 6362 1486",
    "4539578763621486 * 2 = 9079157527242972, and 2 + 4539578763621486",
    "uuid 4539578763621486a, 0.4539578763621486, id_4539578763621486",
    "2001 2002 2003 2004 2005 2006",
    "",
]


@pytest.mark.parametrize(("text", "masked", "kinds"), MASKED)
def test_personal_data_is_masked(text, masked, kinds):
    assert mask(text) == (masked, kinds)


@pytest.mark.parametrize("text", UNTOUCHED)
def test_other_text_is_left_alone(text):
    assert mask(text) == (text, [])


@pytest.mark.parametrize("text", [text for text, *_ in MASKED])
def test_masked_texts_stay_as_they_are(text):
    once = mask(text)[0]
    assert mask(once) == (once, [])


def example_numbers():
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        if number and number.country_code != 1:  # those of the North American plan are 555-01xx
            yield phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
            yield phonenumbers.format_number(number, PhoneNumberFormat.E164)


def test_phone_numbers_of_all_countries():
    numbers = list(example_numbers())
    assert len(numbers) > 400
    for number in numbers:
        assert mask(f"Reach me on {number}, please.") == (f"Reach me on {PHONE}, please.", ["phone"]), number


def random_public_address(rng):
    while True:
        address = ipaddress.ip_address(rng.getrandbits(32))
        if address.is_global and not address.is_multicast and address.packed[-1] not in (0, 255):
            return str(address)


def random_card(rng):
    digits = rng.choice(("4", "51", "55", "2221", "62", "6011", "35"))
    digits += "".join(rng.choice("0123456789") for _ in range(15 - len(digits)))
    card = next(digits + last for last in "0123456789" if pii.passes_luhn(digits + last))
    return rng.choice((card, re.sub(r"(\d{4})(?!$)", r"\1 ", card), re.sub(r"(\d{4})(?!$)", r"\1-", card)))


def random_phone(rng):
    area = rng.choice(("212", "415", "312", "617", "206", "713"))
    exchange, line = rng.randint(220, 554), rng.randint(1000, 9999)
    korean = f"010-{rng.randint(2000, 9999)}-{line}"
    forms = (f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"+1 {area} {exchange} {line}")
    return rng.choice((*forms, f"+1{area}{exchange}{line}", f"{area}.{exchange}.{line}", korean, f"+82 {korean[1:]}"))


def random_email(rng):
    user = rng.choice(("anna", "j.smith", "lee_m", "kim+spam", "x92", "o-brien"))
    return (
        f"{user}{rng.randint(0, 999)}@{rng.choice(('gmail.com', 'naver.com', 'web.de', 'mail.corp.co.uk', 'uni.edu'))}"
    )


FRAMES = (
    ("Please write to {} by Monday.", random_email, "email", pii.EMAIL),
    ("이메일 {}로 보내 주세요", random_email, "email", pii.EMAIL),
    ('{{"contact": "{}"}}', random_email, "email", pii.EMAIL),
    ("The server {} answers.", random_public_address, "ip", pii.IPV4),
    ("curl http://{}/status", random_public_address, "ip", pii.IPV4),
    ("Pay with {} today.", random_card, "card", pii.CARD),
    ("- card: {}\n- date: 12/27", random_card, "card", pii.CARD),
    ("Call me: {}!", random_phone, "phone", PHONE),
    ("연락처는 {}입니다.", random_phone, "phone", PHONE),
)


@pytest.mark.parametrize(("frame", "make", "kind", "placeholder"), FRAMES)
def test_whatever_the_value(frame, make, kind, placeholder):
    rng = Random(frame)
    for value in {make(rng) for _ in range(200)} - pii._RESOLVERS:
        assert mask(frame.format(value)) == (frame.format(placeholder), [kind]), value


def test_long_numbers_are_cards_by_their_check_digit_alone():
    rng = Random(0)
    numbers = [f"4{rng.randrange(10**15):015}" for _ in range(500)]
    masked = [number for number in numbers if mask(f"No. {number}")[1]]
    assert masked == [number for number in numbers if pii.passes_luhn(number)]
    assert 20 < len(masked) < 80
    others = [f"{rng.choice('178')}{rng.randrange(10**15):015}" for _ in range(500)]
    assert [number for number in others if mask(f"No. {number}")[1]] == []
    sums = [f"{a} + {b} = {int(a) + int(b)}" for a, b in zip(numbers, numbers[1:], strict=False)]
    assert [text for text in sums if mask(text)[1]] == []


@pytest.mark.parametrize(
    ("digits", "passes"), [("79927398713", True), ("79927398710", False), ("0", True), ("18", True), ("81", False)]
)
def test_luhn(digits, passes):
    assert pii.passes_luhn(digits) is passes


def test_code_still_parses():
    code = (
        "# by ann@corp.com, +1 212 555 2671\n"
        "ADMIN, HOST, CARD = 'ann@corp.com', '93.184.216.34', 4539578763621486\n"
        "def call(number='(212) 555-2671'):\n    return f'tel:{number}' @ ADMIN\n"
    )
    masked, kinds = mask(code)
    ast.parse(masked)
    assert kinds == ["email", "phone", "email", "ip", "card", "phone"]
    assert len(masked.splitlines()) == len(code.splitlines())


PIECES = [text for text, *_ in MASKED] + [
    *("a@b.co", "93.184.216.34", "212-555-2671", "2125552671", "+12125552671", "010-1234-5678", "4539 5787 6362 1486"),
    *("4539578763621486", "2a00:1450:4001:81b::200e", pii.EMAIL, pii.IPV4, pii.IPV6, PHONE, pii.CARD, "1.2.3.4", "+1"),
    *("phone", "version", "server", "12", "5", "=", "+", "-", "*", "/", ":", ".", ",", "(", ")", "$", "\n", "://", "@"),
]


def test_masking_twice_changes_nothing_whatever_stands_side_by_side():
    rng = Random(1)
    masked_texts = 0
    for _ in range(1500):
        text = "".join(rng.choice(PIECES) + rng.choice(("", " ", " ", "-", ".")) for _ in range(rng.randint(1, 7)))
        once, kinds = mask(text)
        assert mask(once) == (once, []), text
        assert (once == text) == (not kinds)
        masked_texts += bool(kinds)
    assert masked_texts > 700
