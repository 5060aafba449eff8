from __future__ import annotations

import multiprocessing
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodml.datasets import Dataset, load_dataset
from oodml.errors import DatasetError, UsageError

SHARED = Path(__file__).parents[3] / "shared" / "data"
CLASSES = [f"class_{index}" for index in range(8)]
KINDS = ("jpg", "PNG", "webp", "JPEG")


def make_tree(root: Path, classes: list[str], images: int = 2, side: int = 20) -> Path:
    """Class folders with pictures of one colour each, whose red says which class and whose green which image."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for image in range(images):
            file = root / name / f"{image}.{KINDS[image % 4]}"
            Image.new("RGB", (side, side + 4), (label * 20, image * 50, 0)).save(file)
    return root


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, f"{prefix}{file.relative_to(folder).as_posix()}")
    return target


def colour(dataset: Dataset, row: int) -> tuple[int, ...]:
    assert dataset.read is not None
    value = dataset.read(row).getpixel((5, 5))
    assert isinstance(value, tuple)
    return value


def test_folders_are_classes_and_rows_are_sorted(tmp_path: Path) -> None:
    dataset = load_dataset(f"folder:{make_tree(tmp_path / 'my.photos', CLASSES, images=4)}")
    assert dataset.name == "my.photos"
    assert dataset.class_names == tuple(CLASSES)
    assert dataset.labels.tolist() == [label for label in range(8) for _ in range(4)]
    assert dataset.image_ids[:4] == ("class_0/0.jpg", "class_0/1.PNG", "class_0/2.webp", "class_0/3.JPEG")
    assert np.allclose(
        [colour(dataset, row) for row in (0, 1, 7, 30)],
        [[0, 0, 0], [0, 50, 0], [20, 150, 0], [140, 100, 0]],
        atol=4,
    )
    assert dataset.superclasses == {}
    assert dataset.photographs
    assert dataset.native_size is None  # 20 x 24 is no square


@pytest.mark.parametrize("prefix", ["", "top/", "a/b/"])
def test_zip_and_directory_are_the_same_dataset(tmp_path: Path, prefix: str) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    archive = zipped(folder, tmp_path / "photos.zip", prefix)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/class_0/._0.jpg", b"clutter")
        file.writestr(f"{prefix}.hidden/x.jpg", b"clutter")
    a, b = load_dataset(f"folder:{folder}"), load_dataset(f"folder:{archive}")
    assert a.content_hash == b.content_hash
    assert (a.name, a.image_ids, a.class_names) == (b.name, b.image_ids, b.class_names)
    assert [colour(a, row) for row in range(16)] == [colour(b, row) for row in range(16)]


def test_hash_changes_with_a_file_a_name_or_a_size(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    hashes = [load_dataset(f"folder:{folder}").content_hash]
    (folder / "class_1" / "0.jpg").rename(folder / "class_1" / "9.jpg")
    hashes.append(load_dataset(f"folder:{folder}").content_hash)
    with (folder / "class_1" / "9.jpg").open("ab") as file:
        file.write(b"\0")
    hashes.append(load_dataset(f"folder:{folder}").content_hash)
    (folder / "class_1" / "9.jpg").unlink()
    hashes.append(load_dataset(f"folder:{folder}").content_hash)
    assert len(set(hashes)) == 4


def test_nested_folders_give_superclasses(tmp_path: Path) -> None:
    classes = [f"{group}/{name}" for group in ("birds", "cars") for name in "abcd"]
    dataset = load_dataset(f"folder:{make_tree(tmp_path / 'photos', classes)}")
    assert dataset.class_names == tuple(classes)
    assert dataset.superclasses == {name: name.split("/")[0] for name in classes}


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    make_tree(tmp_path / "elsewhere", CLASSES)
    (tmp_path / "photos").mkdir()
    for name in CLASSES:
        (tmp_path / "photos" / name).symlink_to(tmp_path / "elsewhere" / name)
    assert len(load_dataset(f"folder:{tmp_path / 'photos'}")) == 16
    (tmp_path / "photos" / "class_3" / "again").symlink_to(tmp_path / "photos")
    assert len(load_dataset(f"folder:{tmp_path / 'photos'}")) == 16


@pytest.mark.parametrize(
    ("mode", "side", "photographs", "native"),
    [
        ("1", 105, False, 105),
        ("L", 40, False, 40),
        ("RGB", 96, True, 96),
        ("RGB", 200, True, None),
        ("LA", 64, False, 64),
    ],
)
def test_headers_tell_drawings_and_small_pictures(
    tmp_path: Path, mode: str, side: int, photographs: bool, native: int | None
) -> None:
    for name in CLASSES:
        (tmp_path / name).mkdir()
        Image.new(mode, (side, side)).save(tmp_path / name / "a.png")
    dataset = load_dataset(f"folder:{tmp_path}")
    assert (dataset.photographs, dataset.native_size) == (photographs, native)


def test_class_with_one_image_is_kept(tmp_path: Path) -> None:
    make_tree(tmp_path, CLASSES)
    make_tree(tmp_path, ["lone"], images=1)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert np.bincount(dataset.labels)[dataset.class_names.index("lone")] == 1


def test_archive_is_read_by_threads_and_by_forked_processes(tmp_path: Path) -> None:
    dataset = load_dataset(f"folder:{zipped(make_tree(tmp_path / 'p', CLASSES, images=6), tmp_path / 'p.zip')}")
    expected = [colour(dataset, row) for row in range(len(dataset))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: colour(dataset, row % 48), range(480))) == expected * 10
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put([colour(dataset, row) for row in range(48)]))
    child.start()
    assert [colour(dataset, row) for row in range(48)] == expected
    assert queue.get(timeout=30) == expected
    child.join()


def test_damaged_image_in_an_archive_is_named(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    archive = zipped(folder, tmp_path / "photos.zip")
    with zipfile.ZipFile(archive) as file:
        place = file.getinfo("class_2/1.PNG").header_offset + 60
    content = bytearray(archive.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    archive.write_bytes(content)
    dataset = load_dataset(f"folder:{archive}")
    with pytest.raises(DatasetError, match=r"'class_2/1.PNG'.*--skip-bad-images"):
        colour(dataset, dataset.image_ids.index("class_2/1.PNG"))


def test_file_that_vanishes_is_named(tmp_path: Path) -> None:
    dataset = load_dataset(f"folder:{make_tree(tmp_path, CLASSES)}")
    (tmp_path / "class_0" / "0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"'class_0/0.jpg' \(No such file"):
        colour(dataset, 0)


def bad_path(tmp_path: Path, case: str) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    if case == "stray":
        Image.new("RGB", (2, 2)).save(make_tree(path, CLASSES) / "stray.png")
    elif case == "other files":
        (path / "cat").mkdir()
        (path / "cat" / "notes.txt").write_text("no image")
    elif case == "few":
        make_tree(path, CLASSES[:7])
    elif case == "twins":
        make_tree(path, CLASSES)
        for form in ("NFC", "NFD"):
            make_tree(path, [unicodedata.normalize(form, "café")])
    elif case == "text":
        path = tmp_path / "photos.txt"
        path.write_text("")
    elif case == "gone":
        path = tmp_path / "nowhere"
    elif case == "twice":
        archive = zipped(make_tree(path, CLASSES), tmp_path / "photos.zip")
        with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("class_1/0.jpg", b"again")
        path = archive
    elif case == "cut":
        archive = zipped(make_tree(path, CLASSES), tmp_path / "photos.zip")
        archive.write_bytes(archive.read_bytes()[:-200])
        path = archive
    return path


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("empty", "no images below .*photos; class folders with .jpg"),
        ("other files", "no images below"),
        ("stray", "1 images lie directly in .*'stray.png'.*folder named after its class"),
        ("few", "'photos' has 7 classes; at least 8"),
        ("twins", "two folders that are one in Unicode, 'café'"),
        ("text", "photos.txt is a file; give a folder of class folders or a .zip"),
        ("gone", "no folder or zip archive .*nowhere"),
        ("twice", "holds the file 'class_1/0.jpg' twice"),
        ("cut", "photos.zip is not a readable zip archive"),
    ],
)
def test_unusable_folders_say_why(tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(f"folder:{bad_path(tmp_path, case)}")


def test_stray_image_under_the_top_folder_of_an_archive_is_no_class(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    Image.new("RGB", (2, 2)).save(folder / "stray.png")
    with pytest.raises(DatasetError, match="'stray.png'"):
        load_dataset(f"folder:{zipped(folder, tmp_path / 'photos.zip', 'top/')}")


def test_path_is_needed() -> None:
    with pytest.raises(UsageError, match="folder:PATH"):
        load_dataset("folder")


def write_csv(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_superclasses_come_from_a_file(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    table = write_csv(
        tmp_path / "s.csv",
        ["class,superclass,num_images", *(f"{name},{name[-1] > '3'},2" for name in CLASSES)],
    )
    dataset = load_dataset(f"folder:{folder}", superclasses=table)
    assert dataset.superclasses == {name: str(name[-1] > "3") for name in CLASSES}


LINES = [f"{name},x" for name in CLASSES]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["class,group", *LINES], "no column 'superclass'"),
        ([], "no column 'class'"),
        (
            ["class,superclass", *LINES, "dog,x"],
            "line 10 names the class 'dog', which the dataset does not have",
        ),
        (["class,superclass", *LINES, "class_0,y"], "line 10 names the class 'class_0' a second time"),
        (["class,superclass", *LINES[2:]], "lacks 2 of 8 classes: 'class_0', 'class_1'"),
        (["class,superclass", *LINES[1:], "class_0"], "no superclass for the class 'class_0'"),
    ],
)
def test_bad_superclass_files_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    folder = make_tree(tmp_path / "photos", CLASSES)
    with pytest.raises(DatasetError, match=message):
        load_dataset(f"folder:{folder}", superclasses=write_csv(tmp_path / "s.csv", lines))
    with pytest.raises(DatasetError, match="cannot read the superclasses"):
        load_dataset(f"folder:{folder}", superclasses=tmp_path / "none.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared image data is not beside the repository")
def test_real_archives() -> None:
    omniglot = load_dataset(f"folder:{SHARED / 'omniglot.zip'}")
    assert (len(omniglot), len(omniglot.class_names), len(set(omniglot.superclasses.values()))) == (
        32460,
        1623,
        50,
    )
    assert (omniglot.name, omniglot.photographs, omniglot.native_size) == ("omniglot", False, 105)
    grocery = load_dataset(f"folder:{SHARED / 'grocery96.zip'}", superclasses=SHARED / "grocery96_classes.csv")
    assert (len(grocery), len(grocery.class_names), len(set(grocery.superclasses.values()))) == (5421, 81, 43)
    assert (grocery.name, grocery.photographs, grocery.native_size) == ("grocery96", True, None)
    assert grocery.image_ids[0].rpartition("/")[2] == "test_Alpro-Blueberry-Soyghurt_001.jpg"
