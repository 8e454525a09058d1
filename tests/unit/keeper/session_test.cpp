#include <cerrno>
#include <set>

#include "rig.hpp"

using namespace keeper_test;
using cluster::Error;
using wire::HeldKey;
using wire::HeldKind;
using wire::Kind;

namespace {

wire::PlanBuilder lasting() {
    return shell_done("exec " + kLasts);
}

/// Everything held, by key, as a supervisor gets it after its start.
std::vector<std::pair<wire::HeldRecord, sys::UniqueFd>> fetch_all(Supervisor& supervisor) {
    std::vector<std::pair<wire::HeldRecord, sys::UniqueFd>> held;
    std::uint32_t first = 0;
    while (true) {
        wire::Message request = wire::make_message(Kind::fetch);
        request.payload.fetch = {.first = first, .count = 0};
        supervisor.send(request);
        Answer answer = supervisor.expect(Kind::held);
        const wire::Fetch range = answer.message.payload.fetch;
        CHECK(range.first == first);
        if (range.count == 0) return held;
        std::size_t next = 0;
        for (std::uint32_t i = first; i < first + range.count; ++i) {
            if (supervisor.shared().held[i].kind == 0) continue;
            REQUIRE(next < answer.fds.size());
            held.emplace_back(supervisor.shared().held[i], std::move(answer.fds[next++]));
        }
        CHECK(next == answer.fds.size());
        first += range.count;
    }
}

}  // namespace

TEST_CASE("keeper/session: the keeper introduces itself") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.hello.message_bytes == sizeof(wire::Message));
    CHECK(supervisor.hello.max_slots == wire::kMaxSlots);
    CHECK(supervisor.hello.is_terminating == 0);
    CHECK(supervisor.hello.supervisor_starts == 1);
    const sys::BootId boot = sys::boot_id();
    CHECK(supervisor.hello.boot_id_low == boot.low);
    CHECK(supervisor.hello.boot_id_high == boot.high);
    const wire::TableHeader& header = supervisor.shared().header;
    CHECK(header.magic == wire::kTableMagic);
    CHECK(header.keeper_pid == rig.keeper());
    CHECK(header.supervisor_pid == supervisor.pid);
    CHECK(header.keeper_start_ticks == sys::process_start_ticks(rig.keeper()).value_or(1));
}

TEST_CASE("keeper/session: the supervisor can read the table, not change it") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const int file = supervisor.table_file.get();
    CHECK(sys::map_shared(file, sizeof(wire::Table), false));
    CHECK_FALSE(sys::map_shared(file, sizeof(wire::Table), true));
    const std::byte zero{};
    CHECK_FALSE(sys::write_at(file, {&zero, 1}, 0));
    CHECK_FALSE(sys::truncate(file, 0));
}

TEST_CASE("keeper/session: a killed supervisor is replaced, and its workers do not notice") {
    Rig rig;
    Supervisor first = rig.accept();
    const std::int32_t worker = first.spawn(run_of(7, 3), lasting()).pid;
    auto pipe = sys::open_pipe();
    REQUIRE(pipe);
    first.hold({.kind = HeldKind::output, .slot = 7, .generation = 3}, {pipe->read_end.get()});
    ::kill(first.pid, SIGKILL);
    Supervisor second = rig.accept();
    CHECK(second.hello.supervisor_starts == 2);
    const wire::SlotRecord record = second.slot(7);
    CHECK(record.state == wire::SlotState::running);
    CHECK(record.pid == worker);
    CHECK(record.generation == 3);
    CHECK(sys::process_start_ticks(worker).value_or(0) == record.start_ticks);

    std::set<std::uint16_t> kinds;
    for (const auto& [held, fd] : fetch_all(second)) {
        kinds.insert(held.kind);
        if (held.kind != static_cast<std::uint16_t>(HeldKind::output)) continue;
        CHECK(held.slot == 7);
        REQUIRE(sys::write_all(pipe->write_end.get(), "still here"));
        std::array<std::byte, 16> buffer;
        CHECK(sys::read_some(fd.get(), buffer).value_or(0) == 10);
    }
    CHECK(kinds == std::set<std::uint16_t>{1, 3, 4});
    CHECK(rig.log().find("was killed by SIGKILL") != std::string::npos);
    // Who is known already is not spawned again.
    CHECK(second.spawn(run_of(7, 3), lasting()).pid == worker);
}

TEST_CASE("keeper/session: what a supervisor sent before it died is carried out") {
    Rig rig;
    Supervisor first = rig.accept();
    CHECK(first.spawn(run_of(0, 1), lasting()).op == 0);
    const sys::UniqueFd plan = make_plan_file(lasting());
    // The keeper is stopped while all of this happens, so the death is there before the first
    // request is read.
    ::kill(rig.keeper(), SIGSTOP);
    for (std::uint32_t slot = 1; slot <= 100; ++slot) first.send_plan(run_of(slot, 1), plan.get());
    first.signal(run_of(0, 1), SIGKILL);
    ::kill(first.pid, SIGKILL);
    first.link.reset();
    ::kill(rig.keeper(), SIGCONT);
    Supervisor second = rig.accept();
    for (std::uint32_t slot = 1; slot <= 100; ++slot) {
        CHECK(second.slot(slot).state == wire::SlotState::running);
    }
    CHECK(second.wait_exited(0).exit_status == SIGKILL);
}

TEST_CASE("keeper/session: nonsense ends the supervisor, not the keeper") {
    Rig rig;
    std::uint64_t starts = 1;
    const auto is_rejected = [&](auto speak) {
        Supervisor supervisor = rig.accept(false);
        CHECK(supervisor.hello.supervisor_starts == starts++);
        speak(supervisor);
        // Its end of the connection is closed by its death.
        REQUIRE(wait_readable(supervisor.connection.get()));
        std::array<std::byte, 1> byte;
        return sys::read_some(supervisor.connection.get(), byte).value_or(1) == 0;
    };
    CHECK(is_rejected([](Supervisor& supervisor) {
        REQUIRE(sys::send_packet(supervisor.link.get(), std::as_bytes(std::span("short")), {}));
    }));
    CHECK(is_rejected([](Supervisor& supervisor) {
        supervisor.send(wire::make_message(Kind::fetch));  // before any hello
    }));
    CHECK(is_rejected([](Supervisor& supervisor) {
        wire::Message message = wire::make_message(Kind::hello);
        message.payload.hello.message_bytes = 64;
        supervisor.send(message);
    }));
    CHECK(is_rejected([](Supervisor& supervisor) {
        supervisor.greet();
        supervisor.send(wire::make_message(Kind::terminate));
    }));
    const std::string log = rig.log();
    CHECK(log.find("it sent no message") != std::string::npos);
    CHECK(log.find("its hello is of another version") != std::string::npos);
    CHECK(log.find("what only the keeper may send") != std::string::npos);
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.spawn(run_of(0, 1), shell_done(":")).op == 0);
}

TEST_CASE("keeper/session: a supervisor that closes its link is of no use and replaced") {
    Rig rig;
    Supervisor first = rig.accept();
    first.link.reset();
    CHECK(rig.accept().hello.supervisor_starts == 2);
}

TEST_CASE("keeper/session: custody holds, replaces, drops and lists") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    auto null = sys::open_file("/dev/null", O_RDONLY);
    REQUIRE(null);
    const std::vector<int> sixty(60, null->get());
    const std::size_t before = rig.keeper_descriptors();
    for (std::uint16_t i = 0; i < 3; ++i) {
        const auto index = static_cast<std::uint16_t>(i * 60);
        supervisor.hold({.kind = HeldKind::spec, .index = index}, sixty);
    }
    CHECK(fetch_all(supervisor).size() == 182);
    supervisor.hold({.kind = HeldKind::spec, .index = 0}, {null->get()});
    CHECK(fetch_all(supervisor).size() == 182);
    CHECK(rig.keeper_descriptors() == before + 180);
    for (std::uint16_t i = 0; i < 180; ++i) {
        wire::Message drop = wire::make_message(Kind::drop);
        drop.payload.hold.key = {.kind = HeldKind::spec, .index = i};
        supervisor.send(drop);
    }
    CHECK(fetch_all(supervisor).size() == 2);
    CHECK(rig.keeper_descriptors() == before);
    wire::Message drop = wire::make_message(Kind::drop);
    drop.payload.hold.key = {.kind = HeldKind::state};
    supervisor.send(drop);
    CHECK(supervisor.expect_refusal() == Error{Op::not_held, ENOENT});
    for (std::uint16_t i = 0; i < 3; ++i) {
        supervisor.hold({.kind = HeldKind::spec, .index = i}, {null->get()});
    }
    drop.payload.drop.keys[0] = {.kind = HeldKind::spec, .index = 0};
    drop.payload.drop.keys[1] = {.kind = HeldKind::spec, .index = 2};
    drop.payload.drop.keys[3] = {.kind = HeldKind::spec, .index = 1};
    supervisor.send(drop);
    CHECK(fetch_all(supervisor).size() == 3);
    supervisor.hold({.kind = HeldKind::state}, {});
    CHECK(supervisor.expect_refusal() == Error{Op::message, EINVAL});
}

TEST_CASE("keeper/session: no answer is lost while the supervisor does not read") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    std::uint32_t sent = 0;
    std::uint32_t answered = 0;
    const auto take_all = [&] {
        while (const auto answer = supervisor.try_receive()) {
            REQUIRE(answer->message.kind == Kind::refused);
            CHECK(answer->message.slot == answered++);
        }
    };
    while (sent < 3000) {
        wire::Message release = wire::make_message(Kind::release, run_of(sent, 1));
        if (supervisor.try_send(release)) {
            ++sent;
        } else {
            // Both directions are full: the keeper waits for us, not the other way round.
            REQUIRE(wait_readable(supervisor.link.get()));
            take_all();
        }
    }
    CHECK(wait_until([&] {
        take_all();
        return answered == sent;
    }));
}

TEST_CASE("keeper/session: finish is refused while a run has not ended, then ends clusterd") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.spawn(run_of(0, 1), lasting()).op == 0);
    wire::Message finish = wire::make_message(Kind::finish);
    finish.payload.finish = {.code = 7, .reserved = 0};
    supervisor.send(finish);
    CHECK(supervisor.expect_refusal() == Error{Op::message, EBUSY});
    supervisor.signal(run_of(0, 1), SIGKILL);
    static_cast<void>(supervisor.wait_exited(0));
    CHECK(sys::file_info(rig.directories().control_socket()));
    const auto pid = sys::read_file(rig.directories().pid_file(), 32);
    CHECK(pid.value_or("") == std::to_string(rig.keeper()) + "\n");
    supervisor.send(finish);
    supervisor.connection.reset();  // the process that plays the supervisor ends
    CHECK(rig.wait_keeper_exit() == 7);
    CHECK_FALSE(sys::file_info(rig.directories().control_socket()));
    CHECK_FALSE(sys::file_info(rig.directories().pid_file()));
}

TEST_CASE("keeper/session: a supervisor that does not end after finish is ended") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    wire::Message finish = wire::make_message(Kind::finish);
    finish.payload.finish = {.code = 2, .reserved = 0};
    supervisor.send(finish);
    CHECK(rig.wait_keeper_exit() == 2);
    REQUIRE(wait_readable(supervisor.connection.get()));
    CHECK(rig.log().empty());
}

TEST_CASE("keeper/session: signals of clusterd are passed on, and a successor knows of the end") {
    Rig rig;
    Supervisor first = rig.accept();
    ::kill(rig.keeper(), SIGHUP);
    CHECK(first.receive().message.kind == Kind::reload);
    ::kill(rig.keeper(), SIGUSR2);
    CHECK(first.receive().message.kind == Kind::rotate);
    for (const int ignored : {SIGPIPE, SIGUSR1, SIGALRM, SIGTTOU}) ::kill(rig.keeper(), ignored);
    ::kill(rig.keeper(), SIGINT);
    CHECK(first.receive().message.kind == Kind::terminate);
    ::kill(rig.keeper(), SIGTERM);
    CHECK(first.receive().message.kind == Kind::terminate);
    ::kill(first.pid, SIGKILL);
    CHECK(rig.accept().hello.is_terminating == 1);
}

TEST_CASE(
    "keeper/session: when every supervisor dies while it should stop the workers, the keeper "
    "does") {
    Rig rig;
    std::optional<Supervisor> supervisor = rig.accept();
    // One obeys, one is stopped and has to be continued to obey.
    const std::int32_t worker = supervisor->spawn(run_of(0, 1), lasting()).pid;
    CHECK(supervisor->spawn(run_of(1, 1), shell_done("kill -STOP $$; exec " + kLasts)).op == 0);
    ::kill(rig.keeper(), SIGTERM);
    CHECK(supervisor->receive().message.kind == Kind::terminate);
    const auto begin = sys::monotonic_now();
    for (int death = 1; death <= 5; ++death) {
        ::kill(supervisor->pid, SIGKILL);
        if (death < 5) supervisor = rig.accept();
    }
    CHECK(rig.wait_keeper_exit() == 1);
    // Nobody had to be killed after ten seconds.
    CHECK(sys::monotonic_now() - begin < std::chrono::seconds(9));
    CHECK_FALSE(sys::process_start_ticks(worker));
    CHECK_FALSE(sys::file_info(rig.directories().control_socket()));
}

TEST_CASE(
    "keeper/session: told to end while no supervisor lives, the keeper stops the workers itself") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const std::int32_t worker = supervisor.spawn(run_of(0, 1), lasting()).pid;
    // The fifth death in a row is followed by 400 ms without a supervisor.
    for (int death = 1; death <= 5; ++death) {
        ::kill(supervisor.pid, SIGKILL);
        if (death < 5) supervisor = rig.accept();
    }
    CHECK(wait_until([&] { return supervisor.shared().header.supervisor_pid == 0; }));
    ::kill(rig.keeper(), SIGTERM);
    CHECK(rig.wait_keeper_exit() == 1);
    CHECK_FALSE(sys::process_start_ticks(worker));
    CHECK(rig.log().find("no supervisor is there to stop the workers") != std::string::npos);
}

TEST_CASE("keeper/session: after five quick deaths the previous supervisor is tried") {
    Rig rig;
    rig.add_supervisor(std::string(kSupervisorName) + ".previous");
    const auto name_of = [](const Supervisor& supervisor) {
        const std::string path = "/proc/" + std::to_string(supervisor.pid) + "/cmdline";
        return std::string(sys::read_file(path, 4096).value_or("").c_str());
    };
    for (int start = 1; start <= 6; ++start) {
        const Supervisor supervisor = rig.accept();
        const std::string suffix = start <= 5 ? "" : ".previous";
        CHECK(name_of(supervisor) == kSupervisorName + suffix);
        ::kill(supervisor.pid, SIGKILL);
    }
}

TEST_CASE(
    "keeper/session: a supervisor that cannot even be started for the first time ends clusterd") {
    Rig rig({.shell_prefix = "", .has_supervisor = false});
    CHECK(rig.wait_keeper_exit() == 1);
    CHECK(rig.log().find("exec: No such file or directory") != std::string::npos);
}

TEST_CASE("keeper/session: short of descriptors, the keeper refuses and goes on") {
    Rig rig({.shell_prefix = "ulimit -n 300; ", .has_supervisor = true});
    Supervisor supervisor = rig.accept();
    auto null = sys::open_file("/dev/null", O_RDONLY);
    REQUIRE(null);
    const std::vector<int> twenty(20, null->get());
    const auto key_of = [](std::uint32_t i) {
        return HeldKey{.kind = HeldKind::output, .index = static_cast<std::uint16_t>(i * 20)};
    };
    for (std::uint32_t i = 0; i < 20; ++i) supervisor.hold(key_of(i), twenty);
    CHECK(supervisor.expect_refusal_of_any() == Error{Op::limit_reached, EMFILE});
    supervisor.send_plan(run_of(0, 1), make_plan_file(shell_done(":")).get());
    CHECK(wait_until([&] { return rig.keeper_descriptors() <= 300; }));
    while (supervisor.expect(Kind::refused).message.slot != 0) {
    }
    wire::Message drop = wire::make_message(Kind::drop);
    for (std::uint16_t i = 0; i < 40; ++i) {
        drop.payload.hold.key = {.kind = HeldKind::output, .index = i};
        supervisor.send(drop);
    }
    CHECK(supervisor.spawn(run_of(0, 1), shell_done(":")).op == 0);
}

TEST_CASE("keeper/session: short of descriptors, what a successor needs still finds a place") {
    Rig rig({.shell_prefix = "ulimit -n 300; ", .has_supervisor = true});
    Supervisor supervisor = rig.accept();
    auto null = sys::open_file("/dev/null", O_RDONLY);
    REQUIRE(null);
    const std::vector<int> twenty(20, null->get());
    for (std::uint16_t i = 0; i < 10; ++i) {
        supervisor.hold({.kind = HeldKind::output, .index = static_cast<std::uint16_t>(i * 20)},
                        twenty);
    }
    CHECK(supervisor.expect_refusal_of_any() == Error{Op::limit_reached, EMFILE});
    supervisor.hold({.kind = HeldKind::spec, .index = 7}, {null->get()});
    bool is_held = false;
    for (auto& [held, fd] : fetch_all(supervisor)) {
        is_held = is_held || held.kind == static_cast<std::uint16_t>(HeldKind::spec);
    }
    CHECK(is_held);
}

TEST_CASE("keeper/session: the control socket listens whoever is there to serve it") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    const auto client = sys::connect_unix(rig.directories().control_socket());
    REQUIRE(client);
    for (auto& [held, fd] : fetch_all(supervisor)) {
        if (held.kind != static_cast<std::uint16_t>(HeldKind::control)) continue;
        CHECK(sys::accept_connection(fd.get()));
    }
    const auto lock = cluster::place::take_lock(rig.directories());
    REQUIRE_FALSE(lock);
    CHECK(lock.error() == Error{Op::lock, EWOULDBLOCK});
}

TEST_CASE("keeper/session: the keeper shows no work while nothing happens") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.spawn(run_of(0, 1), lasting()).op == 0);
    const auto switches = [&] {
        std::ifstream file("/proc/" + std::to_string(rig.keeper()) + "/status");
        std::string line;
        while (std::getline(file, line) && line.rfind("voluntary_ctxt_switches", 0) != 0) {
        }
        return line;
    };
    // It has answered, so what it still does is to go to sleep once.
    const auto state_of_rest = [&] {
        const std::string before = switches();
        ::poll(nullptr, 0, 50);
        return before == switches();
    };
    CHECK(wait_until(state_of_rest));
    const std::string before = switches();
    ::poll(nullptr, 0, 1500);
    CHECK(switches() == before);
}
