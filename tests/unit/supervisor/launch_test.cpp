#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "supervisor/environment.hpp"
#include "supervisor/plan_compiler.hpp"
#include "supervisor/wording.hpp"
#include "sys/memory.hpp"

using namespace std::chrono_literals;
using cluster::Op;
namespace core = cluster::core;
namespace fs = std::filesystem;
namespace sup = cluster::supervisor;

namespace {

struct Directory {
    fs::path path = fs::temp_directory_path() / ("clusterd-launch-" + std::to_string(::getpid()));
    Directory() { fs::create_directories(path); }
    ~Directory() { fs::remove_all(path); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    [[nodiscard]] std::string file(const std::string& name, const std::string& text,
                                   bool is_executable) const {
        const fs::path target = path / name;
        fs::create_directories(target.parent_path());
        std::ofstream(target) << text;
        const auto mode = is_executable ? fs::perms::owner_all : fs::perms::owner_read;
        fs::permissions(target, mode);
        return target.string();
    }
};

core::Launch launch_of(std::vector<std::string> command) {
    core::Launch launch;
    launch.command = std::move(command);
    launch.cwd = "/";
    launch.base_path = "/usr/bin:/bin";
    return launch;
}

const cluster::sys::User kSomebody{
    .name = "ann", .uid = 1234, .gid = 1234, .home = "/home/ann", .shell = ""};

}  // namespace

TEST_CASE(
    "supervisor/environment: built from scratch, the worker's own values beat the base, the "
    "daemon's beat all") {
    core::Launch launch = launch_of({"true"});
    launch.env = {{"LANG", "C"}, {"A", "1"}, {"HOME", "/srv"}};
    const sup::Variables base{{"LANG", "en_US.UTF-8"}, {"TZ", "UTC"}};
    const auto result = sup::worker_environment(
        launch, {.worker = "api", .number = 2, .instances = 4}, base, kSomebody);
    const sup::Variables expected{{"A", "1"},
                                  {"CLUSTER_INSTANCE", "2"},
                                  {"CLUSTER_INSTANCES", "4"},
                                  {"CLUSTER_WORKER", "api"},
                                  {"HOME", "/srv"},
                                  {"LANG", "C"},
                                  {"LOGNAME", "ann"},
                                  {"NODE_APP_INSTANCE", "2"},
                                  {"PATH", "/usr/bin:/bin"},
                                  {"SHELL", "/bin/sh"},
                                  {"TZ", "UTC"},
                                  {"USER", "ann"}};
    REQUIRE(result);
    CHECK(*result == expected);
}

TEST_CASE(
    "supervisor/environment: keep_env takes the caller's environment instead of the safe base") {
    core::Launch launch = launch_of({"true"});
    launch.keep_env = true;
    launch.inherited_env = {{"EDITOR", "vi"}, {"LANG", "de_DE"}};
    const auto result = sup::worker_environment(launch, {}, {{"TZ", "UTC"}}, kSomebody);
    REQUIRE(result);
    CHECK(result->at("EDITOR") == "vi");
    CHECK(result->at("LANG") == "de_DE");
    CHECK_FALSE(result->contains("TZ"));
}

TEST_CASE("supervisor/environment: files come before env, see what is known, and cannot set ours") {
    const Directory directory;
    core::Launch launch = launch_of({"true"});
    launch.env_files = {
        {directory.file("a.env", "A=1\nB=$USER\nC=a\nCLUSTER_WORKER=x\nNOTIFY_SOCKET=/x", false),
         false},
        {directory.file("b.env", "B=${B}2\nD=$A\n", false), false},
        {directory.file("c.env", "E=$A\n", false), true}};
    launch.env = {{"C", "env"}};
    const auto result = sup::worker_environment(launch, {.worker = "api"}, {}, kSomebody);
    REQUIRE(result);
    CHECK(result->at("A") == "1");
    CHECK(result->at("B") == "ann2");
    CHECK(result->at("C") == "env");
    CHECK(result->at("D") == "1");
    CHECK(result->at("E") == "$A");
    CHECK(result->at("CLUSTER_WORKER") == "api");
    CHECK_FALSE(result->contains("NOTIFY_SOCKET"));
}

TEST_CASE("supervisor/environment: a file that cannot be used says where and why") {
    const Directory directory;
    core::Launch launch = launch_of({"true"});
    const auto failure = [&](const std::string& path) {
        launch.env_files = {{path, false}};
        const auto result = sup::worker_environment(launch, {}, {}, kSomebody);
        REQUIRE_FALSE(result);
        CHECK(result.error().op == Op::env_file);
        return sup::spawn_failure_text(launch, result.error().op, result.error().code);
    };
    const std::string bad = directory.file("bad.env", "A=1\nB", false);
    CHECK(failure(bad) ==
          "read environment file " + bad + ": line 2: expected NAME=value; there is no = behind B");
    const std::string none = directory.path / "none.env";
    CHECK(failure(none) == "read environment file " + none + ": No such file or directory");
    CHECK(failure("/dev/zero") == "read environment file /dev/zero: Invalid argument");
}

TEST_CASE("supervisor/plan: standard input is a file, never a directory, and a pipe never blocks") {
    const Directory directory;
    const auto file = sup::open_standard_input(directory.file("in", "hello", false));
    REQUIRE(file);
    CHECK((::fcntl(file->get(), F_GETFL) & O_NONBLOCK) == 0);
    const std::string fifo = directory.path / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const auto pipe = sup::open_standard_input(fifo);
    REQUIRE(pipe);
    CHECK((::fcntl(pipe->get(), F_GETFL) & O_NONBLOCK) == 0);
    const auto none = sup::open_standard_input(directory.path / "none");
    REQUIRE_FALSE(none);
    CHECK(none.error() == cluster::Error{Op::standard_input, ENOENT});
    const auto wrong = sup::open_standard_input(directory.path);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error() == cluster::Error{Op::standard_input, EISDIR});
}

TEST_CASE("supervisor/plan: a command is looked for in the worker's own PATH") {
    const Directory directory;
    const std::string tool = directory.file("bin/tool", "#!/bin/sh\n", true);
    static_cast<void>(directory.file("plain/tool", "text", false));
    fs::create_directories(directory.path / "dir/tool");
    const std::string base = directory.path.string();
    const auto find = [&](const std::string& path) {
        return sup::find_command("tool", path, base);
    };

    CHECK(find("/nowhere::" + base + "/dir:" + base + "/bin") == tool);
    CHECK(find("bin") == tool);
    CHECK(find("/nowhere").error() == cluster::Error{Op::lookup_command, ENOENT});
    CHECK(find(base + "/plain").error() == cluster::Error{Op::lookup_command, EACCES});
    CHECK(sup::find_command("./tool", "/nowhere", base) == std::string("./tool"));
}

TEST_CASE("supervisor/plan: what cannot be resolved says which step failed") {
    core::Launch launch = launch_of({"true"});
    launch.user = "no-such-user-here";
    CHECK(sup::compile_plan(launch, {}, {}, {}).error() == cluster::Error{Op::lookup_user, ENOENT});
    launch.user.clear();
    launch.group = "no-such-group-here";
    CHECK(sup::compile_plan(launch, {}, {}, {}).error() == cluster::Error{Op::lookup_group, ENOENT});
    launch.group.clear();
    const auto plan = sup::compile_plan(launch, {}, {}, {});
    REQUIRE(plan);
    CHECK(cluster::sys::is_sealed(plan->get()));
}

TEST_CASE("supervisor/plan: an environment beyond the bound is an error, not a truncation") {
    core::Launch launch = launch_of({"true"});
    launch.env["BIG"] = std::string(2U << 20U, 'x');
    CHECK(sup::compile_plan(launch, {}, {}, {}).error() == cluster::Error{Op::plan, E2BIG});
}

TEST_CASE("supervisor/wording: a spawn failure names its object and what is really missing") {
    const Directory directory;
    static_cast<void>(directory.file("script", "#! /no/such/interpreter -x\n", true));
    core::Launch launch = launch_of({"./script"});
    launch.cwd = directory.path.string();
    launch.user = "bob";
    CHECK(sup::spawn_failure_text(launch, Op::exec, EACCES) == "exec ./script: Permission denied");
    CHECK(sup::spawn_failure_text(launch, Op::exec, ENOENT) ==
          "exec ./script: its interpreter /no/such/interpreter does not exist");
    CHECK(sup::spawn_failure_text(launch, Op::chdir, ENOENT) ==
          "change directory to " + launch.cwd + ": No such file or directory");
    CHECK(sup::spawn_failure_text(launch, Op::lookup_user, ENOENT) ==
          "look up user bob: no such user");
    CHECK(sup::spawn_failure_text(launch, Op::clone, EAGAIN) ==
          "create process: Resource temporarily unavailable");
}

TEST_CASE("supervisor/wording: what an operation waits for") {
    core::WorkerSpec spec;
    spec.launch = launch_of({"true"});
    core::Instance instance;
    const cluster::Instant now{100s};
    core::Stopping stopping{.since = now, .kill_at = now + 8200ms};
    instance.state = stopping;
    CHECK(sup::pending_text(spec, instance, now) ==
          "SIGTERM was sent, waiting for it to end; SIGKILL in 8.2s");
    stopping.leader_gone = true;
    stopping.kill_sent = true;
    instance.state = stopping;
    CHECK(sup::pending_text(spec, instance, now) ==
          "SIGKILL was sent, waiting for its process group to be gone");
    instance.state = core::Running{.since = now, .ready_at = now, .is_good = false};
    CHECK(sup::pending_text(spec, instance, now + 300ms) == "running, has to live 0.7s more");
}
