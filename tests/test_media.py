"""Pictures, sounds and documents from files, bytes, Pillow and numpy: what they are is read from the bytes."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth import Audio, Document, Image, Message
from quoth._media import LONGEST_DATA_URL, sniff
from quoth.errors import InputError, InputTypeError
from quoth.testing import FakeProvider

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
SIGNS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "image/heic": b"\x00\x00\x00\x18ftypheic",
    "application/pdf": b"%PDF-1.7",
    "audio/wav": b"RIFF\x10\x00\x00\x00WAVEfmt ",
    "audio/mpeg": b"ID3\x04",
    "audio/ogg": b"OggS",
    "audio/mp4": b"\x00\x00\x00\x18ftypM4A ",
    "application/zip": b"PK\x03\x04 plain",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": b"PK\x03\x04...word/document.xml",
}


@pytest.mark.parametrize("media_type", SIGNS)
def test_bytes_say_what_they_are(media_type):
    assert sniff(SIGNS[media_type]) == media_type


@given(st.binary(max_size=40))
def test_no_bytes_break_the_reading(data):
    assert sniff(data) is None or "/" in sniff(data)


def test_what_bytes_are_is_filled_in_where_nobody_said_it():
    assert Image(data=PNG).media_type == "image/png"
    assert Image(data=PNG, media_type="image/x-own").media_type == "image/x-own"
    assert Image(data=b"?").media_type is None
    assert Image(url="https://x.example/a.png").media_type is None
    assert Document(data=b"%PDF-1.7").media_type == "application/pdf"


def test_files_are_read_with_their_type_and_name(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(PNG)  # the name lies
    assert Image.file(tmp_path / "cat.jpg", detail="low") == Image(data=PNG, media_type="image/png", detail="low")
    (tmp_path / "a.wav").write_bytes(SIGNS["audio/wav"])
    assert Audio.file(str(tmp_path / "a.wav")).media_type == "audio/wav"
    (tmp_path / "notes.md").write_text("# Notes é", encoding="utf-8")
    notes = Document.file(tmp_path / "notes.md")
    assert (notes.filename, notes.media_type, notes.data) == ("notes.md", "text/markdown", "# Notes é".encode())
    (tmp_path / "log").write_text("words")
    assert Document.file(tmp_path / "log").media_type == "text/plain"


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (Image, b"%PDF-1.7", "application/pdf: it is a Document"),
        (Image, SIGNS["audio/wav"], "it is a Audio"),
        (Audio, PNG, "it is a Image"),
        (Image, b"", "is empty"),
        (Document, b"\xfe\xff\x00\x81", "no type that is known"),
        (Image, b"just words", "text/plain"),
    ],
)
def test_what_a_file_is_not_is_said(tmp_path, kind, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        kind.file(path)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"Image\.file: .*nowhere.png.* cannot be read: No such file"):
        Image.file("/nowhere.png")


def test_images_are_taken_as_programs_have_them(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert Image.of(PNG) == Image.of(bytearray(PNG)) == Image.of(path) == Image(data=PNG)
    assert Image.of("https://x.example/a.png") == Image(url="https://x.example/a.png")
    assert Audio.of(SIGNS["audio/ogg"]).media_type == "audio/ogg"
    assert Document.of(b"%PDF-", filename="a.pdf").filename == "a.pdf"
    with pytest.raises(InputTypeError, match="Pillow or a numpy array, not int"):
        Image.of(5)
    with pytest.raises(InputError, match="no type that is known"):
        Image.of(b"?")


PATHS = ["file:///etc/passwd", "FILE:///etc/passwd", "/etc/passwd", "cat.png", "../cat.png", "~/cat.png", "C:\\cat.png",
         "C:/cat.png", "\\\\host\\share\\cat.png", "", ":", "//host/cat.png", "./a:b/c.png"]  # fmt: skip


def ways_to_name(path):
    """A path where a URL belongs: in parts, in a result of a tool, and in dicts as OpenAI's users write them."""
    image_url = {"type": "image_url", "image_url": {"url": path}}
    yield Image(url=path)
    yield ["See", Document(url=path)]
    yield [Message.user("See", Image(url=path))]
    yield [Message.user("Hi"), Message.tool("1", Image(url=path))]
    yield [{"role": "user", "content": [{"type": "text", "text": "See"}, image_url]}]
    yield [{"role": "user", "content": [{"type": "image_url", "image_url": path}]}]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_taken_for_a_url_and_nothing_is_read_or_sent(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(PNG)
    with FakeProvider() as fake:
        for prompt in ways_to_name(path):
            with pytest.raises(InputError, match="no URL"):
                fake.models()("openai/gpt-4", prompt)
        with pytest.raises(InputError, match=r"Image\.file\(path\) reads a file"):
            Image.of(path)
        assert not fake.requests


@pytest.mark.parametrize(
    "url", ["https://x.example/a.png", "http://x.example/a", "gs://b/k", "s3://b/k", "data:image/png,a"]
)
def test_a_url_is_passed_on_as_it_is(url):
    with FakeProvider() as fake:
        fake.models()("openai/gpt-4", Image(url=url), check="off")
        assert url.encode() in fake.requests[0].body


def test_a_data_url_has_a_bound():
    with pytest.raises(InputError, match="too long: give the bytes"):
        Image.of("data:image/png;base64," + "A" * LONGEST_DATA_URL)


def test_a_dict_that_names_a_file_reads_none(tmp_path):
    """As markers of some SDKs do: what stands in such a dict is passed on, and the provider refuses it."""
    (tmp_path / "secret").write_text("hidden words")
    path = str(tmp_path / "secret")
    for file in ({"path": path}, {"file_data": path}, {"filename": path}, path):
        with FakeProvider() as fake:
            fake.models()("openai/gpt-4", [{"role": "user", "content": ["Hi", {"type": "file", "file": file}]}])
            assert b"hidden" not in fake.requests[0].body


class Array:
    """As much of a numpy array as is looked at."""

    dtype = "uint8"

    def __init__(self, shape, data):
        self.shape = shape
        self._data = data

    def tobytes(self):
        return self._data


def read_png(data):
    """Width, height, colour type and the raw rows: an independent reading."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    rest, found = data[8:], {}
    while rest:
        size, name = struct.unpack(">I4s", rest[:8])
        body, crc = rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert struct.pack(">I", zlib.crc32(name + body)) == crc
        found[name], rest = body, rest[12 + size :]
    width, height, depth, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert depth == 8
    return width, height, colour, zlib.decompress(found[b"IDAT"])


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([None, 1, 3, 4]), st.data())
def test_an_array_becomes_a_png_of_the_same_pixels(height, width, channels, data):
    step = width * (channels or 1)
    pixels = data.draw(st.binary(min_size=height * step, max_size=height * step))
    shape = (height, width) if channels is None else (height, width, channels)
    image = Image.of(Array(shape, pixels))
    assert image.media_type == "image/png"
    read = read_png(image.data)
    assert read[:3] == (width, height, {None: 0, 1: 0, 3: 2, 4: 6}[channels])
    rows = [read[3][start : start + step + 1] for start in range(0, len(read[3]), step + 1)]
    assert {row[0] for row in rows} == {0}
    assert b"".join(row[1:] for row in rows) == pixels


@pytest.mark.parametrize("shape", [(4,), (0, 4), (2, 2, 2), (1, 2, 3, 4)])
def test_an_array_that_is_no_picture_says_so(shape):
    with pytest.raises(InputTypeError, match="of uint8"):
        Image.of(Array(shape, b""))


def test_pictures_of_pillow_and_numpy_where_they_are_installed():
    pillow = pytest.importorskip("PIL.Image")
    numpy = pytest.importorskip("numpy")
    picture = pillow.new("RGB", (3, 2), (10, 20, 30))
    assert pillow.open(BytesIO(Image.of(picture).data)).getpixel((2, 1)) == (10, 20, 30)
    array = numpy.zeros((2, 3, 4), dtype="uint8")
    array[1, 2] = (1, 2, 3, 4)
    assert pillow.open(BytesIO(Image.of(array).data)).getpixel((2, 1)) == (1, 2, 3, 4)
    with pytest.raises(InputTypeError, match="astype"):
        Image.of(array / 255)


@pytest.mark.parametrize("model", ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "google/gemini-3.8-flash"])
def test_a_picture_from_a_file_arrives_as_it_is(tmp_path, model):
    path = Path(tmp_path) / "a.png"
    path.write_bytes(PNG)
    with FakeProvider() as fake:
        fake.models()(model, ["What is this?", Image.file(path)])
        (image,) = [part for part in fake.requests[0].request.messages[0].parts if isinstance(part, Image)]
        assert (image.data, image.media_type) == (PNG, "image/png")


# How much a provider takes.


@pytest.fixture
def row():
    from quoth.providers import ProviderSpec
    from quoth.providers._spec import MediaLimits

    limits = MediaLimits(request=600_000, image=200_000, images=2, document=100_000, documents=1)
    return ProviderSpec(name="small", base_url="http://127.0.0.1:1", key_variables=(), limits=limits)


def picture(size):
    return Image(data=PNG + b"x" * size)


def document(size):
    return Document(data=b"%PDF-" + b"x" * size, filename="a.pdf")


TOO_MUCH = [
    ([picture(500_000)], "the request has [0-9,]+ bytes, and the provider takes 600,000"),
    ([picture(250_000)], "images may have 200,000 bytes here, and one has 250,016"),
    ([picture(60_000)] * 3, "a request may have 2 images here, and this one has 3"),
    ([document(150_000)], "documents may have 100,000 bytes"),
    ([document(50_000)] * 2, "may have 1 documents"),
]


@pytest.mark.parametrize(("parts", "words"), TOO_MUCH)
def test_what_a_provider_does_not_take_is_said_before_it_is_sent(row, parts, words):
    from quoth.errors import CapabilityWarning, UnsupportedContentError

    with FakeProvider("Hi") as fake:
        models = fake.models()
        models.register_provider(row)
        options = {"base_url": fake.base_url("openai"), "api_key": fake.key}
        with pytest.raises(UnsupportedContentError, match=words):
            models("small/x", ["See", *parts], check="strict", **options)
        assert fake.requests == []
        with pytest.warns(CapabilityWarning, match=f"{words}.*it is sent all the same"):
            models(f"small/{len(words)}", ["See", *parts], **options)
        assert models("small/x", ["See", *parts], check="off", **options).text == "Hi"
        assert models("small/x", ["See", picture(100_000), document(90_000)], check="strict", **options).text == "Hi"
