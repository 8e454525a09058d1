#include "place/directories.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "support/scratch.hpp"

namespace cluster::place {
namespace {

using test::Scratch;

constexpr std::uint32_t kSomebody = 1000;

Environment environment_of(std::uint32_t uid) {
    Environment environment;
    environment.uid = uid;
    return environment;
}

TEST_CASE("place/resolve: root without a word gets the places of the system") {
    Environment environment = environment_of(0);
    environment.home = "/root";
    const auto dirs = resolve(environment, std::nullopt);
    CHECK(dirs.runtime == "/run/clusterd");
    CHECK(dirs.state == "/var/lib/clusterd");
    CHECK(dirs.log == "/var/log/clusterd");
    CHECK(dirs.control_socket() == "/run/clusterd/control.sock");
    CHECK(dirs.pid_file() == "/run/clusterd/clusterd.pid");
}

TEST_CASE("place/resolve: a user gets the places of the session, then those of the home") {
    Environment environment = environment_of(kSomebody);
    environment.xdg_runtime = "/run/user/1000";
    environment.xdg_state = "/home/u/.st";
    environment.home = "/home/u";
    auto dirs = resolve(environment, std::nullopt);
    CHECK(dirs.runtime == "/run/user/1000/clusterd");
    CHECK(dirs.state == "/home/u/.st/clusterd");
    CHECK(dirs.log == "/home/u/.st/clusterd/logs");
    environment.xdg_runtime.reset();
    environment.xdg_state.reset();
    dirs = resolve(environment, std::nullopt);
    CHECK(dirs.runtime == "/tmp/clusterd-1000");
    CHECK(dirs.state == "/home/u/.local/state/clusterd");
    CHECK(dirs.log == "/home/u/.local/state/clusterd/logs");
}

TEST_CASE("place/resolve: a user's session variables mean nothing to root") {
    Environment environment = environment_of(0);
    environment.xdg_runtime = "/run/user/1000";
    environment.xdg_state = "/x";
    const auto dirs = resolve(environment, std::nullopt);
    CHECK(dirs.runtime == "/run/clusterd");
    CHECK(dirs.state == "/var/lib/clusterd");
}

TEST_CASE("place/resolve: the option beats the variable, the variable beats the default") {
    Environment environment = environment_of(0);
    environment.runtime_dir = "/srv/run";
    environment.state_dir = "/srv/state";
    environment.log_dir = "/srv/log";
    auto dirs = resolve(environment, std::nullopt);
    CHECK(dirs.runtime == "/srv/run");
    CHECK(dirs.state == "/srv/state");
    CHECK(dirs.log == "/srv/log");
    dirs = resolve(environment, "/other");
    CHECK(dirs.runtime == "/other");
    CHECK(dirs.state == "/srv/state");
    environment.log_dir.reset();
    CHECK(resolve(environment, std::nullopt).log == "/srv/state/logs");
}

TEST_CASE("place/resolve: daemons in different runtime directories share neither state nor logs") {
    const Environment root = environment_of(0);
    const auto usual = resolve(root, std::nullopt);
    const auto first = resolve(root, "/srv/a/b");
    const auto second = resolve(root, "/srv/a-b");
    CHECK(first.state != usual.state);
    CHECK(first.state != second.state);
    CHECK(first.log != usual.log);
    CHECK(first.log != second.log);
    CHECK(first.state.rfind("/var/lib/clusterd/at/", 0) == 0);
    CHECK(first.log.rfind("/var/log/clusterd/at/", 0) == 0);
    CHECK(resolve(root, "/run/clusterd").state == usual.state);
    CHECK(resolve(root, "/run/clusterd/").state == usual.state);
}

TEST_CASE("place/resolve: results are absolute, whatever was typed") {
    Environment environment = environment_of(0);
    environment.state_dir = "st/../st2";
    const auto dirs = resolve(environment, "./run//x/");
    const std::string here = std::filesystem::current_path().string();
    CHECK(dirs.runtime == here + "/run/x");
    CHECK(dirs.state == here + "/st2");
    CHECK(dirs.log == here + "/st2/logs");
}

TEST_CASE("place/prepare: creates the directory, and takes an existing one of ours") {
    const Scratch scratch;
    const std::uint32_t uid = ::geteuid();
    const Directories dirs{.runtime = scratch / "a/run", .state = "", .log = ""};
    REQUIRE(prepare_runtime(dirs, uid));
    struct stat info {};
    REQUIRE(::stat(dirs.runtime.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == (uid == 0 ? 0711U : 0700U));
    CHECK(prepare_runtime(dirs, uid));
}

TEST_CASE("place/prepare: somebody else's directory is refused") {
    const Scratch scratch;
    const Directories dirs{.runtime = scratch.path(), .state = "", .log = ""};
    const auto refused = prepare_runtime(dirs, ::geteuid() + 1);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::check_owner, EPERM});
}

TEST_CASE("place/prepare: a directory that others may write to is refused") {
    const Scratch scratch;
    const Directories dirs{.runtime = scratch / "run", .state = "", .log = ""};
    REQUIRE(::mkdir(dirs.runtime.c_str(), 0700) == 0);
    for (const unsigned mode : {0777U, 0770U, 0702U}) {
        REQUIRE(::chmod(dirs.runtime.c_str(), mode) == 0);
        const auto refused = prepare_runtime(dirs, ::geteuid());
        REQUIRE_FALSE(refused);
        CHECK(refused.error() == Error{Op::check_owner, EACCES});
    }
}

TEST_CASE("place/prepare: a file or a link is not a directory") {
    const Scratch scratch;
    test::write_text(scratch / "file", "");
    REQUIRE(::mkdir((scratch / "real").c_str(), 0700) == 0);
    REQUIRE(::symlink("real", (scratch / "link").c_str()) == 0);
    for (const char* name : {"file", "link"}) {
        const Directories dirs{.runtime = scratch / name, .state = "", .log = ""};
        const auto refused = prepare_runtime(dirs, ::geteuid());
        REQUIRE_FALSE(refused);
        CHECK(refused.error() == Error{Op::check_owner, ENOTDIR});
    }
}

TEST_CASE("place/prepare: a socket path that does not fit is refused before anything is made") {
    const Scratch scratch;
    const std::size_t room = 107 - std::string("/control.sock").size();
    std::string longest = scratch.path() + "/";
    longest += std::string(room - longest.size(), 'd');
    const Directories too_long{.runtime = longest + "d", .state = "", .log = ""};
    const auto refused = prepare_runtime(too_long, ::geteuid());
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Op::bind, ENAMETOOLONG});
    CHECK(::access(too_long.runtime.c_str(), F_OK) != 0);
    CHECK(prepare_runtime({.runtime = longest, .state = "", .log = ""}, ::geteuid()));
}

TEST_CASE("place/lock: a second daemon on the directory is told so, until the first ends") {
    const Scratch scratch;
    const Directories dirs{.runtime = scratch.path(), .state = "", .log = ""};
    {
        const auto first = take_lock(dirs);
        REQUIRE(first);
        const auto second = take_lock(dirs);
        REQUIRE_FALSE(second);
        CHECK(second.error() == Error{Op::lock, EWOULDBLOCK});
    }
    CHECK(take_lock(dirs));
}

TEST_CASE("place/logs: one file for each stream of each instance") {
    CHECK(output_log("/l", "api", 3) == "/l/api.3.out.log");
    CHECK(error_log("/l", "api", 0) == "/l/api.0.err.log");
}

}  // namespace
}  // namespace cluster::place
