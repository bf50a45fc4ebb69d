"""The set-up's own pieces: what is stamped, repaired, found missing, and which ROS is used."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _environment_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of scripts/environment importable, as they are when it runs."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts/environment"))


class TestStamps:
    def test_done_only_with_the_same_inputs(self, tmp_path: Path) -> None:
        from stamps import Stamps, digest_of

        pins = tmp_path / "pins.txt"
        pins.write_text("a==1\n")
        stamps = Stamps(tmp_path / "stamps")
        assert not stamps.done("packages", digest_of(pins))
        stamps.record("packages", digest_of(pins))
        assert stamps.done("packages", digest_of(pins))
        assert not stamps.done("packages", digest_of(pins, salt="jazzy"))
        assert not stamps.done("torch", digest_of(pins))
        pins.write_text("a==2\n")
        assert not stamps.done("packages", digest_of(pins))

    def test_a_forgotten_step_is_not_done(self, tmp_path: Path) -> None:
        from stamps import Stamps

        stamps = Stamps(tmp_path)
        stamps.record("messages", "x")
        stamps.forget("messages")
        assert stamps.recorded("messages") is None

    def test_digest_sees_names_and_the_border_between_files(self, tmp_path: Path) -> None:
        from stamps import digest_of

        contents = {"a": b"12", "b": b"3", "c": b"1", "d": b"23"}
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        digests = {digest_of(*(tmp_path / name for name in pair)) for pair in ("ab", "cd", "ba")}
        assert len(digests) == 3


class TestHalfInstalled:
    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        """An installed package of one module, one data file outside site-packages and its records."""
        info = tmp_path / "lib/site/demo-1.dist-info"
        info.mkdir(parents=True)
        (tmp_path / "share").mkdir()
        for file in (info / "INSTALLER", info.parent / "demo.py", tmp_path / "share/demo.txt"):
            file.touch()
        (info / "RECORD").write_text(
            "demo.py,sha256=x,0\n../../share/demo.txt,,\n__pycache__/demo.cpython-311.pyc,,\n"
        )
        return info

    def test_a_whole_package_is_not_named(self, package: Path) -> None:
        from packages import half_installed

        assert half_installed(package.parent) == []

    @pytest.mark.parametrize("lost", ["INSTALLER", "RECORD", "../demo.py", "../../../share/demo.txt"])
    def test_a_package_that_lacks_anything_is_named(self, package: Path, lost: str) -> None:
        from packages import half_installed

        (package / lost).unlink()
        assert half_installed(package.parent) == [package]

    def test_this_environment_is_whole(self) -> None:
        from packages import half_installed

        site_packages = Path(sysconfig.get_path("purelib"))
        assert list(site_packages.glob("numpy-*.dist-info/RECORD"))
        assert half_installed(site_packages) == []


class TestRosWheels:
    BAKED = (
        "set_target_properties(std_msgs PROPERTIES\n"
        '  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311-cp311/include/python3.11;'
        '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"\n'
        '  INTERFACE_LINK_LIBRARIES "std_msgs::c"\n)\n'
    )

    def test_headers_are_those_of_this_machine(self) -> None:
        from ros_wheels import with_headers

        patched = with_headers(self.BAKED, "/usr/include/python3.11", "/venv/numpy/include")
        assert '"/usr/include/python3.11;/venv/numpy/include"\n' in patched
        assert "/opt/python" not in patched
        assert patched.count("\n") == self.BAKED.count("\n")

    def test_patching_twice_changes_nothing(self) -> None:
        from ros_wheels import with_headers

        once = with_headers(self.BAKED, "/usr/include/python3.11", "/venv/numpy/include")
        assert with_headers(once, "/elsewhere", "/elsewhere") == once

    @pytest.mark.skipif("AMENT_PREFIX_PATH" in os.environ, reason="ROS 2 is sourced: no wheels")
    def test_no_installed_file_names_the_build_machine(self) -> None:
        exports = list(Path(sys.prefix, "share").glob("*/cmake/*__rosidl_generator_pyExport.cmake"))
        assert exports
        assert not [path for path in exports if "/opt/python/" in path.read_text()]


class TestWhichRos:
    def test_wheels_where_none_is_sourced(self) -> None:
        from ros import find_ros

        # Container images set ROS_DISTRO for every process, sourced or not.
        for variables in ({}, {"ROS_DISTRO": "jazzy"}, {"AMENT_PREFIX_PATH": "/r/.venv"}):
            ros = find_ros(variables, Path("/r/.venv"))
            assert (ros.sourced, ros.requirements.name) == (False, "ros-wheels.txt")

    def test_the_system_where_one_is_sourced(self) -> None:
        from ros import find_ros

        variables = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/ws/install:/opt/ros/humble"}
        ros = find_ros(variables, Path("/r/.venv"))
        assert (ros.name, ros.requirements.name) == ("humble", "ros-system.txt")
        assert ros.prefixes == (Path("/ws/install"), Path("/opt/ros/humble"))

    def test_packages_are_looked_up_in_the_ament_index(self, tmp_path: Path) -> None:
        from ros import find_ros

        index = tmp_path / "share/ament_index/resource_index/packages"
        index.mkdir(parents=True)
        (index / "tf2_msgs").touch()
        ros = find_ros({"AMENT_PREFIX_PATH": str(tmp_path)}, Path("/r/.venv"))
        assert ros.has_package("tf2_msgs")
        assert not ros.has_package("tf2_ros")


class TestSystemPackages:
    def test_a_missing_library_is_named_by_its_debian_package(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import system

        monkeypatch.setattr(system, "LIBRARIES", {"libc.so.6": "libc6", "libnowhere.so.7": "libnowhere7"})
        missing = system.missing_packages()
        assert "libnowhere7" in missing
        assert "libc6" not in missing

    def test_without_root_the_error_is_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import system
        from console import SetupError

        monkeypatch.setattr(system, "missing_packages", lambda: ["g++", "libusb-1.0-0"])
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        with pytest.raises(SetupError) as error:
            system.install_system_packages()
        command = "sudo apt-get update && sudo apt-get install -y g++ libusb-1.0-0"
        assert str(error.value).endswith(command)
        assert "\n" not in str(error.value)


class TestRun:
    def test_a_failure_says_what_and_shows_hidden_output(self, capfd: pytest.CaptureFixture[str]) -> None:
        from console import SetupError, run

        with pytest.raises(SetupError, match=r"the build failed \(exit code 3\): sh -c"):
            run(["sh", "-c", "echo why; exit 3"], "the build failed", quiet=True)
        assert capfd.readouterr().out == "why\n"

    def test_a_missing_program_is_a_known_error(self) -> None:
        from console import SetupError, run

        with pytest.raises(SetupError, match=r"no cmake: .*no-such-program"):
            run(["no-such-program"], "no cmake")


class TestSetupScript:
    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        script = ROOT / "scripts/setup.sh"
        environment = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)

    def test_an_unusable_python_is_one_clear_line(self) -> None:
        done = self.run(PYTHON="/no/such/python")
        assert done.returncode == 2
        assert done.stderr.startswith("Error: no Python 3.10 to 3.12 found")
        assert done.stderr.count("\n") == 1

    def test_a_sourced_ros_without_its_python_is_one_clear_line(self) -> None:
        # Isolated, so that the rclpy of this environment cannot stand in for that of the sourced ROS.
        done = self.run(PYTHON=sys._base_executable, AMENT_PREFIX_PATH="/opt/ros/none")
        assert done.returncode == 2
        assert done.stderr.startswith("Error: ROS 2 is sourced (/opt/ros/none)")
        assert done.stderr.count("\n") == 1
