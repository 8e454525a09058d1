#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "rig.hpp"

using namespace keeper_test;

namespace {

std::string read_all(int fd) {
    std::string text;
    while (wait_readable(fd)) {
        std::array<std::byte, 4096> buffer;
        const auto count = sys::read_some(fd, buffer);
        if (!count || *count == 0) break;
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    return text;
}

/// What the plan's program writes to the pipe that the plan calls attached descriptor 0.
std::string output_of(Supervisor& supervisor, Run run, const wire::PlanBuilder& plan) {
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    const wire::Spawned spawned = supervisor.spawn(run, plan, {pipe->write_end.get()});
    REQUIRE(spawned.op == 0);
    pipe->write_end.reset();
    return read_all(pipe->read_end.get());
}

wire::PlanBuilder printing(const std::string& script) {
    wire::PlanBuilder plan = shell(script);
    plan.dup(0, 1);
    plan.exec("/bin/sh");
    return plan;
}

}  // namespace

TEST_CASE("keeper/spawn: a run goes through the table from intent to release") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const wire::Spawned spawned = supervisor.spawn(run_of(3, 1), shell_done("exit 42"));
    CHECK(spawned.pid > 0);
    CHECK(supervisor.expect(wire::Kind::changed).message.slot == 3);
    const wire::SlotRecord record = supervisor.slot(3);
    CHECK(record.state == wire::SlotState::exited);
    CHECK(record.generation == 1);
    CHECK(record.epoch == 77);
    CHECK(record.pid == spawned.pid);
    CHECK(record.start_ticks > 0);
    CHECK(record.exited_ns >= record.spawned_ns);
    CHECK(record.exit_code == CLD_EXITED);
    CHECK(record.exit_status == 42);
    CHECK(record.group_alive == 0);
    CHECK(supervisor.shared().header.slots_used == 4);

    supervisor.send(wire::make_message(wire::Kind::release, run_of(3, 1)));
    CHECK(wait_until([&] { return supervisor.slot(3).state == wire::SlotState::free; }));
    CHECK(supervisor.slot(3).generation == 1);
    supervisor.send_plan(run_of(3, 1), make_plan_file(shell_done(":")).get());
    CHECK(supervisor.expect_refusal() == cluster::Error{Op::message, EEXIST});
    CHECK(supervisor.spawn(run_of(3, 2), shell_done(":")).op == 0);
}

TEST_CASE("keeper/spawn: a death by signal is recorded as one") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.spawn(run_of(0, 1), shell_done("kill -9 $$")).op == 0);
    const wire::SlotRecord record = supervisor.wait_exited(0);
    CHECK(record.exit_code == CLD_KILLED);
    CHECK(record.exit_status == SIGKILL);
}

TEST_CASE("keeper/spawn: the pidfd of the answer names the run") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    supervisor.send_plan(run_of(0, 1), make_plan_file(shell_done("exec " + kLasts)).get());
    const Answer answer = supervisor.expect(wire::Kind::spawned);
    REQUIRE(answer.fds.size() == 1);
    CHECK(supervisor.slot(0).state == wire::SlotState::running);
    CHECK(sys::signal_pidfd(answer.fds[0].get(), SIGTERM));
    CHECK(supervisor.wait_exited(0).exit_status == SIGTERM);
}

TEST_CASE("keeper/spawn: a failed step is named with its operation and errno") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    std::uint64_t generation = 0;
    const auto failure_of = [&](auto change, const char* path) {
        wire::PlanBuilder plan = shell(":");
        change(plan);
        plan.exec(path);
        const wire::Spawned spawned = supervisor.spawn(run_of(0, ++generation), plan);
        CHECK(spawned.pid == 0);
        const wire::SlotRecord record = supervisor.slot(0);
        CHECK(record.state == wire::SlotState::exited);
        CHECK(record.pid == 0);
        CHECK(record.failed_op == spawned.op);
        CHECK(record.failed_code == spawned.code);
        CHECK(record.failed_op_index == spawned.op_index);
        supervisor.send(wire::make_message(wire::Kind::release, run_of(0, generation)));
        return std::tuple(static_cast<Op>(spawned.op), spawned.code, spawned.op_index);
    };
    const auto nothing = [](wire::PlanBuilder&) {};
    CHECK(failure_of(nothing, "/nonexistent") == std::tuple(Op::exec, ENOENT, 1));
    CHECK(failure_of(nothing, "/etc/passwd") == std::tuple(Op::exec, EACCES, 1));
    CHECK(failure_of([](auto& plan) { plan.chdir("/nonexistent"); }, "/bin/sh") ==
          std::tuple(Op::chdir, ENOENT, 1));
    CHECK(failure_of([](auto& plan) { plan.session(); }, "/bin/sh") ==
          std::tuple(Op::session, EPERM, 1));
    CHECK(failure_of([](auto& plan) { plan.limit(RLIMIT_CORE, 2, 1); }, "/bin/sh") ==
          std::tuple(Op::limit, EINVAL, 1));
    CHECK(failure_of([](auto& plan) { plan.oom_score(5000); }, "/bin/sh") ==
          std::tuple(Op::oom_score, EINVAL, 1));
    if (sys::current_uid() != 0) {
        CHECK(failure_of([](auto& plan) { plan.set_uid(0); }, "/bin/sh") ==
              std::tuple(Op::set_uid, EPERM, 1));
        CHECK(failure_of([](auto& plan) { plan.set_gid(0); }, "/bin/sh") ==
              std::tuple(Op::set_gid, EPERM, 1));
        CHECK(failure_of([](auto& plan) { plan.groups({}); }, "/bin/sh") ==
              std::tuple(Op::groups, EPERM, 1));
        CHECK(failure_of([](auto& plan) { plan.nice(-20); }, "/bin/sh") ==
              std::tuple(Op::nice, EACCES, 1));
    }
    // A child that failed was reaped on the spot.
    CHECK(rig.keeper_children() == std::vector{supervisor.pid});
}

TEST_CASE("keeper/spawn: what the plan says is what the program finds") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::PlanBuilder plan = shell(
        "echo $$ $CHILD_PID; echo $A; pwd; umask; ulimit -Sc; ulimit -Sn; nice; "
        "cat /proc/self/oom_score_adj");
    plan.dup(0, 1);
    plan.add_environment_pid("CHILD_PID");
    plan.add_environment("A", "b c");
    plan.chdir("/usr");
    plan.umask(027);
    plan.limit(RLIMIT_CORE, 0, 0);
    plan.limit(RLIMIT_NOFILE, 100, 200);
    plan.nice(5);
    plan.oom_score(321);
    plan.exec("/bin/sh");
    std::istringstream lines(output_of(supervisor, run_of(0, 1), plan));
    std::string line;
    std::getline(lines, line);
    const std::string pid = std::to_string(supervisor.slot(0).pid);
    CHECK(line == pid + " " + pid);
    for (const char* expected : {"b c", "/usr", "0027", "0", "100", "5", "321"}) {
        std::getline(lines, line);
        CHECK(line == expected);
    }
}

TEST_CASE("keeper/spawn: user and groups are those of the plan" * doctest::skip(::geteuid() != 0)) {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::PlanBuilder plan = shell("id -u; id -g; id -G");
    plan.dup(0, 1);
    const std::array<std::uint32_t, 2> gids{1234, 1235};
    plan.groups(gids);
    plan.set_gid(1236);
    plan.set_uid(1237);
    plan.exec("/bin/sh");
    CHECK(output_of(supervisor, run_of(0, 1), plan) == "1237\n1236\n1236 1234 1235\n");
}

TEST_CASE(
    "keeper/spawn: signals are reset, and the limit and the score are the keeper's original") {
    rlimit own{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &own) == 0);
    const auto own_score = sys::read_file("/proc/self/oom_score_adj", 32);
    REQUIRE(own_score);
    // Ignored signals survive exec: the keeper inherits this one from us, its children do not.
    std::signal(SIGPIPE, SIG_IGN);
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(output_of(supervisor, run_of(0, 1),
                    printing("grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -f2; "
                             "ulimit -Sn; cat /proc/self/oom_score_adj")) ==
          "0000000000000000\n0000000000000000\n" + std::to_string(own.rlim_cur) + "\n" +
              *own_score);
    std::signal(SIGPIPE, SIG_DFL);
}

TEST_CASE("keeper/spawn: descriptors land where the plan wants them, and no other is open") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    // Targets on top of wherever the keeper received the attached ones, in an order that no
    // sequence of plain dup2 calls would survive.
    std::vector<sys::Pipe> pipes;
    std::vector<int> attached;
    for (int i = 0; i < 40; ++i) {
        auto pipe = sys::open_pipe();
        REQUIRE(pipe);
        attached.push_back(pipe->write_end.get());
        pipes.push_back(std::move(*pipe));
    }
    wire::PlanBuilder plan = shell(
        "for fd in $(seq 0 39); do echo $fd >/proc/self/fd/$fd; done; "
        "echo /proc/$$/fd/* >/proc/self/fd/0");
    for (std::uint32_t i = 0; i < 40; ++i) plan.dup(i, 39 - i);
    plan.exec("/bin/sh");
    REQUIRE(supervisor.spawn(run_of(0, 1), plan, attached).op == 0);
    CHECK(supervisor.wait_exited(0).exit_status == 0);
    std::set<int> open;
    for (std::size_t i = 0; i < pipes.size(); ++i) {
        pipes[i].write_end.reset();
        std::istringstream text(read_all(pipes[i].read_end.get()));
        int number = -1;
        text >> number;
        CHECK(number == 39 - static_cast<int>(i));
        for (std::string path; text >> path;)
            open.insert(std::stoi(path.substr(path.rfind('/') + 1)));
    }
    // The shell's own look into that directory has the lowest free number.
    CHECK(open.size() == 41);
    CHECK(*open.rbegin() == 40);
}

TEST_CASE("keeper/spawn: standard descriptors that nothing was placed on are closed") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::PlanBuilder plan = shell("echo /proc/$$/fd/* >&7");
    plan.dup(0, 7);
    plan.exec("/bin/sh");
    const std::string text = output_of(supervisor, run_of(0, 1), plan);
    // The shell's own look into that directory has the lowest free number.
    const std::string directory = "/proc/" + std::to_string(supervisor.slot(0).pid) + "/fd/";
    CHECK(text == directory + "0 " + directory + "7\n");
}

TEST_CASE("keeper/spawn: a request that is sent again is answered, not carried out again") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const auto plan = shell_done("exec " + kLasts);
    const wire::Spawned first = supervisor.spawn(run_of(5, 2), plan);
    const wire::Spawned second = supervisor.spawn(run_of(5, 2), plan);
    CHECK(first.pid == second.pid);
    CHECK(rig.keeper_children().size() == 2);
    supervisor.send_plan(run_of(5, 3), make_plan_file(plan).get());
    CHECK(supervisor.expect_refusal() == cluster::Error{Op::table_full, EEXIST});
}

TEST_CASE("keeper/spawn: plans that are not to be trusted are refused and leave no trace") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const auto refusal_of = [&](int plan) {
        supervisor.send_plan(run_of(0, 1), plan);
        return supervisor.expect_refusal();
    };
    CHECK(refusal_of(make_plan_file(shell_done(":"), false).get()) ==
          cluster::Error{Op::plan, EPERM});
    CHECK(refusal_of(make_plan_file(shell(":")).get()) == cluster::Error{Op::plan, EINVAL});
    CHECK(refusal_of(supervisor.link.get()) == cluster::Error{Op::plan, EPERM});
    auto huge = sys::open_memory_file("huge", wire::kMaxPlanBytes + 1);
    REQUIRE(huge);
    REQUIRE(sys::seal_all(huge->get()));
    CHECK(refusal_of(huge->get()) == cluster::Error{Op::plan, E2BIG});
    auto empty = sys::open_memory_file("empty", 0);
    REQUIRE(empty);
    REQUIRE(sys::seal_all(empty->get()));
    CHECK(refusal_of(empty->get()) == cluster::Error{Op::plan, EINVAL});
    supervisor.send(wire::make_message(wire::Kind::spawn, run_of(0, 1)));
    CHECK(supervisor.expect_refusal() == cluster::Error{Op::plan, EINVAL});
    supervisor.send_plan(run_of(wire::kMaxSlots, 1), make_plan_file(shell_done(":")).get());
    CHECK(supervisor.expect_refusal() == cluster::Error{Op::message, EINVAL});
    CHECK(supervisor.slot(0).state == wire::SlotState::free);
    CHECK(supervisor.spawn(run_of(0, 1), shell_done(":")).op == 0);
}

TEST_CASE("keeper/spawn: ten thousand runs leave no descriptor and no zombie behind") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::PlanBuilder plan;
    plan.session();
    plan.add_argument("true");
    plan.exec("/bin/true");
    const sys::UniqueFd file = make_plan_file(plan);
    constexpr std::uint32_t kSlots = 50;
    constexpr std::uint64_t kRounds = 200;
    std::size_t before = 0;
    for (std::uint64_t round = 1; round <= kRounds; ++round) {
        for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
            supervisor.send_plan(run_of(slot, round), file.get(), {file.get()});
        }
        for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
            CHECK(supervisor.expect(wire::Kind::spawned).message.payload.spawned.op == 0);
        }
        for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
            CHECK(supervisor.wait_exited(slot).exit_status == 0);
            supervisor.send(wire::make_message(wire::Kind::release, run_of(slot, round)));
        }
        while (supervisor.try_receive()) {
        }
        const auto is_free = [&](std::uint32_t slot) {
            return supervisor.slot(slot).state == wire::SlotState::free;
        };
        REQUIRE(wait_until([&] { return is_free(kSlots - 1); }));
        if (round == 1) before = rig.keeper_descriptors();
    }
    CHECK(rig.keeper_descriptors() == before);
    CHECK(rig.keeper_children() == std::vector{supervisor.pid});
}
