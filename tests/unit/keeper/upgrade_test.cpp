// What a keeper refuses to become. What it does become is tested with the real programs
// (tests/e2e/succession_test.cpp).
#include <doctest/doctest.h>

#include <cerrno>

#include "rig.hpp"

using cluster::Error;
using cluster::Op;
using keeper_test::Rig;
using keeper_test::Run;
using keeper_test::Supervisor;
namespace sys = cluster::sys;
namespace wire = cluster::wire;

namespace {

constexpr Run kRun{.slot = cluster::Slot{64}, .generation = cluster::Generation{1}};

sys::UniqueFd path_file(std::string_view path) {
    auto file = sys::make_sealed_file("path", path);
    REQUIRE(file);
    return std::move(*file);
}

Error refusal_of(Supervisor& supervisor, const std::vector<int>& fds) {
    supervisor.send(wire::make_message(wire::Kind::upgrade), fds);
    return supervisor.expect_refusal();
}

}  // namespace

TEST_CASE("keeper/upgrade: what is no program is refused, and everything goes on") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    CHECK(supervisor.spawn(kRun, keeper_test::shell_done(keeper_test::kLasts)).op == 0);
    const std::size_t descriptors = rig.keeper_descriptors();

    CHECK(refusal_of(supervisor, {}) == Error{Op::estate, EINVAL});
    const sys::UniqueFd good = path_file("/nonexistent/clusterd");
    CHECK(refusal_of(supervisor, {good.get(), good.get()}) == Error{Op::estate, EINVAL});
    auto open = sys::open_memory_file("path", 0);
    REQUIRE(open);
    REQUIRE(sys::write_all(open->get(), "/bin/true"));
    CHECK(refusal_of(supervisor, {open->get()}) == Error{Op::estate, EPERM});
    auto null = sys::open_read_write("/dev/null");
    REQUIRE(null);
    CHECK(refusal_of(supervisor, {null->get()}) == Error{Op::estate, EPERM});
    for (const std::string& path : {std::string(), std::string("clusterd"), std::string(1, '\0'),
                                    "/" + std::string(5000, 'x')}) {
        const sys::UniqueFd file = path_file(path);
        CHECK(refusal_of(supervisor, {file.get()}) == Error{Op::estate, EINVAL});
    }
    CHECK(refusal_of(supervisor, {good.get()}) == Error{Op::exec, ENOENT});
    const sys::UniqueFd directory = path_file("/tmp");
    CHECK(refusal_of(supervisor, {directory.get()}) == Error{Op::exec, EACCES});

    // The answer comes before it closes what came with the last request.
    CHECK(keeper_test::wait_until([&] { return rig.keeper_descriptors() == descriptors; }));
    CHECK(supervisor.slot(64).state == wire::SlotState::running);
    // Nothing that it was about to leave is inherited by whom it starts now.
    const Run next{.slot = cluster::Slot{65}, .generation = cluster::Generation{1}};
    CHECK(supervisor
              .spawn(next, keeper_test::shell_done("test $(ls /proc/self/fd | wc -l) -le 2"))
              .op == 0);
    CHECK(supervisor.wait_exited(65).exit_status == 0);
}

TEST_CASE("keeper/upgrade: a daemon that is ending does not become another") {
    Rig rig;
    Supervisor supervisor = rig.accept();
    REQUIRE(::kill(rig.keeper(), SIGTERM) == 0);
    static_cast<void>(supervisor.expect(wire::Kind::terminate));
    const sys::UniqueFd file = path_file("/bin/true");
    CHECK(refusal_of(supervisor, {file.get()}) == Error{Op::estate, EBUSY});
    CHECK(supervisor.shared().header.is_terminating == 1);
}
