#include "store/participant.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <thread>
#include <vector>

#include "store/settle.hpp"
#include "store_fixture.hpp"
#include "support/store_audit.hpp"
#include "sys/life.hpp"
#include "sys/process.hpp"

namespace cluster::store::test {
namespace {

/// Runs `body` in a forked child and returns its exit code, or -signal.
template <class Body>
int in_child(Body body) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(body());
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("store/participant: slots are distinct, come back, and run out as a typed error") {
    Place place;
    std::vector<Participant> all;
    while (true) {
        auto joined = Participant::join(*place.segment);
        if (!joined) {
            CHECK(joined.error() == Error{Op::store, EUSERS});
            break;
        }
        all.push_back(std::move(*joined));
    }
    CHECK(all.size() == small_options().participants - 1);
    CHECK(take_census(*place.segment).participants == small_options().participants);
    const u32 slot = all.back().slot();
    all.pop_back();
    const auto again = Participant::join(*place.segment);
    REQUIRE(again);
    CHECK(again->slot() == slot);
}

TEST_CASE("store/participant: a forked child joins again by itself, with a slot of its own") {
    Place place;
    REQUIRE(place.set("k", "parent"));
    const u32 slot = place.me.slot();
    const int code = in_child([&] {
        if (place.me.has_slot()) return 1;
        if (!place.set("k", "child")) return 2;
        return place.me.slot() == slot ? 3 : 0;
    });
    CHECK(code == 0);
    CHECK(place.me.has_slot());
    CHECK(place.me.slot() == slot);
    CHECK(place.get("k") == "child");
    CHECK(place.set("k", "parent again"));
    CHECK(audit(*place.segment) == "");
}

TEST_CASE("store/participant: in a child, a page that another joining took is not mistaken") {
    Place place;
    auto second = Participant::join(*place.segment);
    REQUIRE(second);
    const int code = in_child([&] {
        // As if the parent had died meanwhile and its slots were free.
        store_release(&place.segment->slot(place.me.page().slot).claim, 0);
        store_release(&place.segment->slot(1).claim, 0);
        const auto fresh = Participant::join(*place.segment);
        const auto fresh2 = Participant::join(*place.segment);
        if (!fresh || !fresh2) return 1;
        if (place.me.has_slot() || second->has_slot()) return 2;
        if (!second->ensure()) return 3;
        return second->slot() == fresh->slot() || second->slot() == fresh2->slot() ? 4 : 0;
    });
    CHECK(code == 0);
}

TEST_CASE("store/participant: the slots of the dead are taken when no other is free") {
    Place place;
    const int code = in_child([&] {
        std::vector<Participant> all;
        while (true) {
            auto joined = Participant::join(*place.segment);
            if (!joined) break;
            all.push_back(std::move(*joined));
        }
        ::kill(::getpid(), SIGKILL);
        return 0;
    });
    CHECK(code == -SIGKILL);
    CHECK(take_census(*place.segment).participants == small_options().participants);
    std::vector<Participant> mine;
    for (u32 i = 1; i < small_options().participants; ++i) {
        auto joined = Participant::join(*place.segment);
        REQUIRE(joined);
        mine.push_back(std::move(*joined));
    }
    CHECK(code_of(Participant::join(*place.segment)) == EUSERS);
    CHECK(take_census(*place.segment).settled_participants == small_options().participants - 1);
}

TEST_CASE("store/participant: a stopped process is alive and keeps its slot") {
    Place place;
    const pid_t pid = ::fork();
    if (pid == 0) {
        std::vector<Participant> all;
        while (true) {
            auto joined = Participant::join(*place.segment);
            if (!joined) break;
            all.push_back(std::move(*joined));
        }
        ::kill(::getpid(), SIGSTOP);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, WUNTRACED);
    REQUIRE(WIFSTOPPED(status));
    CHECK(code_of(Participant::join(*place.segment)) == EUSERS);
    CHECK(settle_all_dead(*place.segment).slots == 0);
    ::kill(pid, SIGKILL);
    // Dead, but not reaped: that is enough.
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    CHECK(code_of(Participant::join(*place.segment)) == 0);
    // That joining took one of them, and left.
    CHECK(settle_all_dead(*place.segment).slots == small_options().participants - 2);
    ::waitpid(pid, &status, 0);
}

TEST_CASE("store/participant: the daemon settles a process by its identity, and no other") {
    Place place;
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        auto joined = Participant::join(*place.segment);
        // A block taken and in nobody's reach, as if it had died within an operation.
        Intent& intent = joined->intent();
        store_release(&intent.word, place.segment->offset_of(place.segment->bucket(7)));
        const bool is_taken =
            take_block(*joined, &intent.fresh[0], 200, Need::ordinary).has_value();
        const char byte = is_taken ? 'y' : 'n';
        (void)!::write(ready[1], &byte, 1);
        ::pause();
        ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    CHECK(byte == 'y');
    const auto start = sys::process_start_ticks(pid);
    REQUIRE(start);
    CHECK(audit(*place.segment) != "");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    CHECK(settle(*place.segment, {.pid = pid, .start_ticks = *start + 1}).slots == 0);
    CHECK(settle(*place.segment, {.pid = pid + 1, .start_ticks = *start}).slots == 0);
    const Settled settled = settle(*place.segment, {.pid = pid, .start_ticks = *start});
    CHECK(settled.slots == 1);
    CHECK(settled.blocks == 1);
    CHECK(audit(*place.segment) == "");
    CHECK(settle(*place.segment, {.pid = pid, .start_ticks = *start}).slots == 0);
    const Census census = take_census(*place.segment);
    CHECK(census.settled_blocks == 1);
    CHECK(census.participants == 1);
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("store/participant: what a process left before an exec is known to be dead") {
    Place place;
    const sys::LifeMarks marks = sys::own_life_marks();
    // The claim of this very process, had it been another program.
    const Claim now = Claim::of(load_acquire(&place.segment->slot(place.me.slot()).claim));
    CHECK(now.pid == static_cast<u32>(marks.pid));
    Claim past = now;
    past.image ^= 1U;
    store_release(&place.segment->slot(5).claim, past.word());
    const auto joined = Participant::join(*place.segment);
    REQUIRE(joined);
    CHECK(joined->slot() == 5);
}

TEST_CASE("store/participant: threads of one process have a slot each") {
    Place place;
    std::vector<std::thread> threads;
    std::atomic<int> failures{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&place, &failures, t] {
            for (int i = 0; i < 20; ++i) {
                auto me = Participant::join(*place.segment);
                if (!me) {
                    ++failures;
                    continue;
                }
                Table table{*place.segment};
                const std::string key = "t" + std::to_string(t);
                if (!table.increment(*me, bytes(key), 1)) ++failures;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(place.get("t0") == "20");
    CHECK(place.get("t3") == "20");
    CHECK(take_census(*place.segment).participants == 1);
    CHECK(audit(*place.segment) == "");
}

}  // namespace
}  // namespace cluster::store::test
