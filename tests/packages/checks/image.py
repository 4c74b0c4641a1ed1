"""What the image holds, and what it weighs. How it runs is shown by tests/lifecycle."""

import made

# Of what it weighs unpacked, in bytes; the archive is half of that.
MOST = 15_000_000


def check_it_weighs_less_than_is_promised(_):
    _, files = made.in_image(made.image())
    weights = {path: len(content) for path, content in files.items()}
    assert sum(weights.values()) < MOST, (sum(weights.values()), weights)
    assert made.image().stat().st_size < MOST // 2, made.image().stat().st_size


def check_it_holds_what_the_list_says_and_nothing_else(_):
    _, files = made.in_image(made.image())
    assert set(files) == {f"/{to}" for kind, _, _, to in made.listed() if kind in ("image", "all")}, set(files)


def check_its_program_needs_no_other_file(folder):
    _, files = made.in_image(made.image())
    program = folder / "rolecall"
    program.write_bytes(files["/usr/bin/rolecall"])
    read = made.output("readelf", "--program-headers", "--dynamic", program).decode()
    assert "NEEDED" not in read and "INTERP" not in read, read
    # Nor is it the same at every start where things lie.
    assert "PIE" in read, read


def check_it_is_not_root_and_says_what_it_is(_):
    configuration, _ = made.in_image(made.image())
    run = configuration["config"]
    assert run["User"] == "65532:65532" and run["Healthcheck"]["Test"] == ["CMD", "/usr/bin/rolecall", "healthcheck"], run
    assert all(run["Labels"].values()), run
    assert configuration["architecture"] == "amd64"
