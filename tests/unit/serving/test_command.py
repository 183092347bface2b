"""`rnnapps serve` as a process."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import time

import pytest

from rnnapps import cli
from rnnapps.errors import ServerError
from rnnapps.serving import Client

pytestmark = pytest.mark.system

PROGRAM = [sys.executable, "-m", "rnnapps.cli", "serve"]
ENVIRONMENT = {key: v for key, v in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}


def test_it_says_where_it_is_and_ends_cleanly(tmp_path, publish_constant, capsys):
    publish_constant(tmp_path / "a", 3)
    command = [*PROGRAM, str(tmp_path), "--rest-port", "0", "--grpc-port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes) as process:
        try:
            assert process.stdout.readline() == "a: version 1\n"
            _, rest, _, grpc, *_ = process.stdout.readline().split()
            for address in (rest, grpc):
                assert Client(address, "a").predict(["x"]) == [{"value": 3, "text": "x"}]
            assert "In production, use TF Serving" in process.stdout.readline()
            for kind, address in (("rest", rest), ("grpc", grpc)):
                port = address.rsplit(":", 1)[1]
                flags = {"rest": "0", "grpc": "0", kind: port}
                arguments = [f"--{name}-port={flag}" for name, flag in flags.items()]
                assert cli.main(["serve", str(tmp_path), *arguments]) == 2
                assert capsys.readouterr().err == (
                    f"rnnapps: Cannot listen at 127.0.0.1:{port} (--{kind}-port): "
                    "Address already in use.\n"
                )
        finally:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_it_ends_within_six_seconds_whatever_runs(spinners):
    command = [*PROGRAM, str(spinners), "--rest-port", "0", "--grpc-port", "0", "--timeout", "600"]
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == "spin: version 1\n"
            address = process.stdout.readline().split()[1]
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                endless = [
                    pool.submit(Client(address, "spin", retries=0).predict, [-1]) for _ in range(2)
                ]
                time.sleep(1)
                process.send_signal(signal.SIGTERM)
                start = time.monotonic()
                assert process.wait(60) == 0
                assert 3.5 < time.monotonic() - start < 6
                for future in endless:
                    with pytest.raises(ServerError, match="The server is shutting down"):
                        future.result()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "Expected a folder of models. Received: nowhere, not a folder."),
        ([".", "--rest-port", "70000"], "Cannot listen at 127.0.0.1:70000 (--rest-port)"),
        ([".", "--grpc-port", "70000"], "Cannot listen at 127.0.0.1:70000 (--grpc-port)"),
        ([".", "--host", "192.0.2.1"], "Cannot assign requested address"),
        ([".", "--max-rows", "0"], "Expected --max-rows over 0. Received: 0."),
        ([".", "--max-megabytes", "2048"], "Expected --max-megabytes under 2048. Received: 2048."),
        ([".", "--timeout", "0"], "Expected --timeout to be seconds over 0. Received: 0.0."),
        ([".", "--rest-prt", "1"], "Did you mean --rest-port?"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_without_the_extra_it_says_what_to_install():
    script = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from rnnapps import cli; sys.exit(cli.main(['serve', '.']))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stderr.splitlines()[-1]) == (
        2,
        "rnnapps: rnnapps serve needs uvicorn: pip install 'rnnapps[serving]'.",
    )
