#include <doctest/doctest.h>
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
    CHECK(result == expected);
}

TEST_CASE(
    "supervisor/environment: keep_env takes the caller's environment instead of the safe base") {
    core::Launch launch = launch_of({"true"});
    launch.keep_env = true;
    launch.inherited_env = {{"EDITOR", "vi"}, {"LANG", "de_DE"}};
    const auto result = sup::worker_environment(launch, {}, {{"TZ", "UTC"}}, kSomebody);
    CHECK(result.at("EDITOR") == "vi");
    CHECK(result.at("LANG") == "de_DE");
    CHECK_FALSE(result.contains("TZ"));
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
    CHECK(sup::compile_plan(launch, {}, {}).error() == cluster::Error{Op::lookup_user, ENOENT});
    launch.user.clear();
    launch.group = "no-such-group-here";
    CHECK(sup::compile_plan(launch, {}, {}).error() == cluster::Error{Op::lookup_group, ENOENT});
    launch.group.clear();
    const auto plan = sup::compile_plan(launch, {}, {});
    REQUIRE(plan);
    CHECK(cluster::sys::is_sealed(plan->get()));
}

TEST_CASE("supervisor/plan: an environment beyond the bound is an error, not a truncation") {
    core::Launch launch = launch_of({"true"});
    launch.env["BIG"] = std::string(2U << 20U, 'x');
    CHECK(sup::compile_plan(launch, {}, {}).error() == cluster::Error{Op::plan, E2BIG});
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
