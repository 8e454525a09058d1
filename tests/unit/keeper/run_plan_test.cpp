#include "keeper/run_plan.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>

#include "sys/file.hpp"
#include "sys/process.hpp"

using cluster::Op;
using cluster::keeper::ChildDefaults;
using cluster::keeper::PlanRunner;
namespace sys = cluster::sys;
namespace wire = cluster::wire;

namespace {

/// What `script` prints when it runs with these defaults; "op code" when the spawn fails.
std::string output_of(const std::string& script, const ChildDefaults& defaults,
                      const auto& change) {
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    wire::PlanBuilder builder;
    builder.dup(0, 1);
    builder.add_argument("sh");
    builder.add_argument("-c");
    builder.add_argument(script);
    builder.add_environment("PATH", "/usr/bin:/bin");
    change(builder);
    builder.exec("/bin/sh");
    const auto bytes = builder.finish();
    REQUIRE(bytes);
    const auto runner = std::make_unique<PlanRunner>();
    const auto plan = runner->load(*bytes, 1);
    REQUIRE(plan);
    const std::array<int, 1> sources{pipe->write_end.get()};
    std::int32_t pid = 0;

    // As sys::spawn requires it.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    const auto spawned = runner->spawn(*plan, sources, defaults, &pid);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    REQUIRE(spawned);
    CHECK(spawned->pid == pid);
    pipe->write_end.reset();
    if (spawned->failure) {
        CHECK(::waitpid(pid, nullptr, WNOHANG) == -1);
        return std::string(op_name(spawned->failure->op)) + " " +
               std::to_string(spawned->failure->code);
    }
    REQUIRE(::waitpid(pid, nullptr, 0) == pid);
    std::array<std::byte, 256> text;
    const auto length = sys::read_some(pipe->read_end.get(), text);
    return {reinterpret_cast<const char*>(text.data()), length.value_or(0)};
}

void nothing(wire::PlanBuilder&) {}

}  // namespace

TEST_CASE("keeper/run_plan: a child gets the OOM score back that the keeper had") {
    CHECK(output_of("cat /proc/self/oom_score_adj", {.descriptors = {}, .oom_score = 432},
                    nothing) == "432\n");
}

TEST_CASE("keeper/run_plan: the plan's OOM score beats the default") {
    const auto change = [](wire::PlanBuilder& plan) { plan.oom_score(777); };
    CHECK(output_of("cat /proc/self/oom_score_adj", {.descriptors = {}, .oom_score = 432},
                    change) == "777\n");
}

TEST_CASE("keeper/run_plan: the default limit of open files holds unless the plan has its own") {
    const ChildDefaults defaults{.descriptors = {{.soft = 123, .hard = 456}}, .oom_score = {}};
    CHECK(output_of("ulimit -Sn; ulimit -Hn", defaults, nothing) == "123\n456\n");
    const auto change = [](wire::PlanBuilder& plan) { plan.limit(7, 111, 222); };
    CHECK(output_of("ulimit -Sn; ulimit -Hn", defaults, change) == "111\n222\n");
}

TEST_CASE("keeper/run_plan: a failure leaves no child behind") {
    const auto change = [](wire::PlanBuilder& plan) { plan.chdir("/nonexistent"); };
    CHECK(output_of(":", {}, change) == "change directory to 2");
    // Many failures would show a stack or a process that is not given back.
    for (int i = 0; i < 1000; ++i) static_cast<void>(output_of(":", {}, change));
}

TEST_CASE("keeper/run_plan: a child that changes its user leaves its parent as it was" *
          doctest::skip(::geteuid() != 0)) {
    const auto change = [](wire::PlanBuilder& plan) { plan.set_uid(1234); };
    REQUIRE(::prctl(PR_GET_DUMPABLE) == 1);
    CHECK(output_of("id -u", {}, change) == "1234\n");
    CHECK(::prctl(PR_GET_DUMPABLE) == 1);
}
