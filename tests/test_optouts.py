import io
import zlib

import pytest
from PIL import Image, PngImagePlugin

from pipeline import optouts
from pipeline.stage import Tools, ensure
from pipeline.workspace import Workspace

PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" {}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
ATTRIBUTE = 'plus:DataMining="http://ns.useplus.org/ldf/vocab/{}">'
ELEMENT = "><plus:DataMining>http://ns.useplus.org/ldf/vocab/{}</plus:DataMining>"


def saved(kind, packet, **more):
    data = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(data, kind, xmp=packet.encode(), **more)
    return data.getvalue()


def png(packet, *, compressed):
    info, data = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_itxt("XML:com.adobe.xmp", packet, zip=compressed)
    Image.new("RGB", (9, 9), "red").save(data, "PNG", pnginfo=info)
    return data.getvalue()


@pytest.mark.parametrize("form", [ATTRIBUTE, ELEMENT])
@pytest.mark.parametrize(
    ("word", "objects"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-AIMLTRAINING", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-ALLOWED", False),
        ("DMI-UNSPECIFIED", False),
    ],
)
def test_every_word_of_the_vocabulary_in_every_format(form, word, objects):
    packet = PACKET.format(form.format(word))
    files = [saved("JPEG", packet), saved("WEBP", packet), saved("TIFF", "", tiffinfo={700: packet.encode()})]
    files += [png(packet, compressed=compressed) for compressed in (False, True)]
    for data in files:
        said = optouts.objection(data)
        assert said == (f"IPTC/PLUS DataMining: {word}" if objects else None)


def chunk(kind, data):
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


@pytest.mark.parametrize("level", [0, 1, 3, 6, 9])
def test_a_png_however_its_text_is_packed(level):
    """Levels below 6 begin with other bytes than the one that Pillow uses."""
    packet = PACKET.format(ATTRIBUTE.format("DMI-PROHIBITED"))
    plain = saved("PNG", "")
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0\0" + zlib.compress(packet.encode(), level))
    assert optouts.objection(plain) is None
    assert optouts.objection(plain[:33] + text + plain[33:]) == "IPTC/PLUS DataMining: DMI-PROHIBITED"


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt"])
def test_a_png_whose_packet_imagemagick_wrote_in_hex(kind):
    packet = PACKET.format(ATTRIBUTE.format("DMI-PROHIBITED-AIMLTRAINING")).encode()
    plain = saved("PNG", "")
    for digits, said in ((packet.hex(), "IPTC/PLUS DataMining: DMI-PROHIBITED-AIMLTRAINING"), ("zz", None)):
        lines = "\n".join(digits[place : place + 72] for place in range(0, len(digits), 72))
        text = f"\nxmp\n{len(packet):8}\n{lines}\n".encode()
        told = b"Raw profile type xmp\0" + (b"\0" + zlib.compress(text) if kind == b"zTXt" else text)
        assert optouts.objection(plain[:33] + chunk(kind, told) + plain[33:]) == said


@pytest.mark.parametrize(("use", "objects"), [("notAllowed", True), ("constrained", True), ("allowed", False)])
def test_training_mining_of_c2pa(use, objects):
    entry = b"\xa1cuse" + bytes([0x60 + len(use)]) + use.encode()
    data = saved("JPEG", "") + b"jumb...c2pa.training-mining...x\x18c2pa.ai_generative_training" + entry
    assert optouts.objection(data) == ("C2PA training-mining" if objects else None)


def test_files_that_say_nothing_and_broken_ones():
    whole = png(PACKET.format(ELEMENT.format("DMI-PROHIBITED")), compressed=True)
    for data in (b"", b"no picture", saved("JPEG", PACKET.format(">")), whole[: len(whole) // 3], whole[:20]):
        assert optouts.objection(data) is None
    bomb = b"\x00XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(50_000_000), 9)
    chunk = len(bomb).to_bytes(4) + b"iTXt" + bomb + bytes(4)
    assert optouts.objection(whole[:33] + chunk + whole[33:]) is not None  # what comes after a bomb is read, too


def test_a_file_is_read_once(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    data = saved("JPEG", PACKET.format(ATTRIBUTE.format("DMI-PROHIBITED")))
    rows = [{"sample_id": workspace.keep_original(one)} for one in (data, b"plain")]
    for _ in range(2):
        tools = Tools(workspace)
        said = ensure(optouts, rows, optouts.Params(), tools).table().to_pylist()
        assert [row["optouts__said"] for row in said] == ["IPTC/PLUS DataMining: DMI-PROHIBITED", None]
    assert tools.stats[0].computed == 0
