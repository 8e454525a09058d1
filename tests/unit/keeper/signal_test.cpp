#include <cerrno>

#include "rig.hpp"

using namespace keeper_test;
using cluster::Error;
using wire::Kind;

TEST_CASE("keeper/signal: a signal reaches the whole group, and a stopped leader is continued") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const std::int32_t leader =
        supervisor.spawn(run_of(0, 1), shell_done(kLasts + " & kill -STOP $$; wait")).pid;
    const auto is_stopped = [&] {
        const std::string path = "/proc/" + std::to_string(leader) + "/stat";
        return sys::read_file(path, 4096).value_or("").find(") T ") != std::string::npos;
    };
    REQUIRE(wait_until(is_stopped));
    supervisor.signal(run_of(0, 1), SIGTERM, true);
    const wire::SlotRecord record = supervisor.wait_exited(0);
    CHECK(record.exit_status == SIGTERM);
    CHECK(record.last_signal == SIGTERM);
    CHECK(wait_until([&] { return supervisor.slot(0).group_alive == 0; }));
    CHECK(rig.keeper_children() == std::vector{supervisor.pid});
}

TEST_CASE("keeper/signal: runs that are not known, or no more, are refused") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    REQUIRE(supervisor.spawn(run_of(0, 2), shell_done("exec " + kLasts)).op == 0);
    for (const Run run : {run_of(0, 1), run_of(0, 3), run_of(0, 0), run_of(1, 1),
                          run_of(wire::kMaxSlots, 1), run_of(wire::kNoSlot, 1)}) {
        supervisor.signal(run, SIGTERM);
        CHECK(supervisor.expect_refusal() == Error{Op::signal, ESRCH});
    }
    supervisor.signal(run_of(0, 2), 999);
    CHECK(supervisor.expect_refusal() == Error{Op::signal, EINVAL});
    CHECK(supervisor.slot(0).state == wire::SlotState::running);
    supervisor.signal(run_of(0, 2), SIGKILL);
    static_cast<void>(supervisor.wait_exited(0));
    supervisor.signal(run_of(0, 2), SIGKILL);
    CHECK(supervisor.expect_refusal() == Error{Op::signal, ESRCH});
    // A spawn that failed has nobody to signal.
    wire::PlanBuilder plan = shell(":");
    plan.exec("/nonexistent");
    REQUIRE(supervisor.spawn(run_of(1, 1), plan).op != 0);
    supervisor.signal(run_of(1, 1), SIGKILL);
    CHECK(supervisor.expect_refusal() == Error{Op::signal, ESRCH});
}

TEST_CASE("keeper/signal: a run without a session of its own is signalled by itself") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::PlanBuilder plan;
    plan.add_argument("tail");
    plan.add_argument("-f");
    plan.add_argument("/dev/null");
    for (std::uint32_t fd = 0; fd < 3; ++fd) plan.dup(0, fd);
    plan.exec("/usr/bin/tail");
    const auto null = sys::open_file("/dev/null", O_RDWR);
    REQUIRE(null);
    REQUIRE(supervisor.spawn(run_of(0, 1), plan, {null->get()}).op == 0);
    supervisor.signal(run_of(0, 1), SIGTERM, true);
    CHECK(supervisor.wait_exited(0).exit_status == SIGTERM);
    CHECK(supervisor.spawn(run_of(1, 1), shell_done(":")).op == 0);
}

TEST_CASE("keeper/signal: a grandchild that outlives its leader can still be signalled") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    REQUIRE(supervisor.spawn(run_of(4, 1), shell_done(kLasts + " & exit 3")).op == 0);
    const wire::SlotRecord record = supervisor.wait_exited(4);
    CHECK(record.exit_status == 3);
    CHECK(record.group_alive == 1);
    CHECK(supervisor.expect(Kind::changed).message.slot == 4);
    // The orphan has become the keeper's child.
    CHECK(rig.keeper_children().size() == 2);
    supervisor.signal(run_of(4, 1), SIGKILL);
    CHECK(supervisor.expect(Kind::changed).message.slot == 4);
    CHECK(supervisor.slot(4).group_alive == 0);
    CHECK(rig.keeper_children() == std::vector{supervisor.pid});
}

TEST_CASE("keeper/signal: one message names several runs, and each is answered for itself") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    for (std::uint32_t i = 0; i < 3; ++i) {
        REQUIRE(supervisor.spawn(run_of(i, 1), shell_done(kLasts)).op == 0);
    }
    wire::Message message = wire::make_message(Kind::signal, run_of(0, 1));
    message.payload.signal.signal = SIGKILL;
    message.payload.signal.further[0] = {.slot = 7, .reserved = 0, .generation = 1};
    message.payload.signal.further[1] = {.slot = 1, .reserved = 0, .generation = 1};
    message.payload.signal.further[3] = {.slot = 2, .reserved = 0, .generation = 1};
    supervisor.send(message);
    const wire::Message refused = supervisor.expect(Kind::refused).message;
    CHECK(refused.slot == 7);
    CHECK(refused.payload.refused.sequence == supervisor.last_sequence());
    CHECK(refused.payload.refused.code == ESRCH);
    CHECK(supervisor.wait_exited(0).exit_status == SIGKILL);
    CHECK(supervisor.wait_exited(1).exit_status == SIGKILL);
    // What stands behind the end of the list is not looked at.
    CHECK(supervisor.slot(2).state == wire::SlotState::running);

    message = wire::make_message(Kind::release, run_of(0, 1));
    message.payload.release.further[0] = {.slot = 2, .reserved = 0, .generation = 1};
    message.payload.release.further[1] = {.slot = 1, .reserved = 0, .generation = 1};
    supervisor.send(message);
    CHECK(supervisor.expect(Kind::refused).message.slot == 2);
    CHECK(wait_until([&] { return supervisor.slot(1).state == wire::SlotState::free; }));
    CHECK(supervisor.slot(0).state == wire::SlotState::free);
}

TEST_CASE("keeper/signal: seven refusals of one message wait for room, in order") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::Message release = wire::make_message(Kind::release, run_of(0, 1));
    for (std::uint32_t i = 0; i < 6; ++i) {
        release.payload.release.further[i] = {.slot = i + 1, .reserved = 0, .generation = 1};
    }
    std::uint32_t answered = 0;
    const auto take_all = [&] {
        while (const auto answer = supervisor.try_receive()) {
            REQUIRE(answer->message.kind == Kind::refused);
            CHECK(answer->message.slot == answered++ % 7);
        }
    };
    for (std::uint32_t sent = 0; sent < 300;) {
        if (supervisor.try_send(release)) {
            ++sent;
        } else {
            REQUIRE(wait_readable(supervisor.link.get()));
            take_all();
        }
    }
    CHECK(wait_until([&] {
        take_all();
        return answered == 2100;
    }));
}

TEST_CASE("keeper/signal: a slot is free for the next run while the old group lives on") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    wire::PlanBuilder plan = shell(kLasts + " & echo $! >&5; exit 0");
    plan.dup(0, 5);
    plan.exec("/bin/sh");
    REQUIRE(supervisor.spawn(run_of(0, 1), plan, {pipe->write_end.get()}).op == 0);
    std::array<std::byte, 16> text;
    REQUIRE(wait_readable(pipe->read_end.get()));
    const auto length = sys::read_some(pipe->read_end.get(), text);
    REQUIRE(length);
    const int orphan = std::stoi(std::string(reinterpret_cast<const char*>(text.data()), *length));
    CHECK(supervisor.wait_exited(0).group_alive == 1);
    supervisor.send(wire::make_message(Kind::release, run_of(0, 1)));
    CHECK(supervisor.spawn(run_of(0, 2), shell_done("exit 1")).op == 0);
    CHECK(supervisor.wait_exited(0).exit_status == 1);
    supervisor.signal(run_of(0, 1), SIGKILL);
    CHECK(supervisor.expect_refusal() == Error{Op::signal, ESRCH});
    CHECK(sys::process_start_ticks(orphan));
    ::kill(orphan, SIGKILL);
    CHECK(wait_until([&] { return !sys::process_start_ticks(orphan); }));
}

TEST_CASE("keeper/signal: zombies of a stranger do not keep a group alive for ever") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    // A process that left the session keeps a zombie in the old group: its child, born before it
    // left.
    wire::PlanBuilder plan;
    plan.session();
    for (const char* argument : {"python3", "-c",
                                 "import os, signal\n"
                                 "if os.fork():\n"
                                 "    os._exit(0)\n"
                                 "if os.fork() == 0:\n"
                                 "    os._exit(0)\n"
                                 "os.setsid()\n"
                                 "os.write(5, b'x')\n"
                                 "signal.pause()\n"}) {
        plan.add_argument(argument);
    }
    plan.dup(0, 5);
    plan.exec("/usr/bin/python3");
    if (supervisor.spawn(run_of(0, 1), plan, {pipe->write_end.get()}).op != 0) {
        MESSAGE("no python3 here");
        return;
    }
    pipe->write_end.reset();
    REQUIRE(wait_readable(pipe->read_end.get()));
    CHECK(supervisor.wait_exited(0).group_alive == 1);
    CHECK(wait_until([&] { return !sys::group_has_living_member(supervisor.slot(0).pid); }));
    supervisor.signal(run_of(0, 1), SIGKILL);
    CHECK(supervisor.expect_refusal() == Error{Op::signal, ESRCH});
    CHECK(supervisor.slot(0).group_alive == 0);
    const auto children = rig.keeper_children();
    for (const std::int32_t child : children) {
        if (child != supervisor.pid) ::kill(child, SIGKILL);
    }
    CHECK(wait_until([&] { return rig.keeper_children() == std::vector{supervisor.pid}; }));
}
