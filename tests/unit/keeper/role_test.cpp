// The parts of keeper and supervisor that this test binary plays when the rig starts it again.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "keeper/keeper.hpp"
#include "keeper/start.hpp"
#include "rig.hpp"

namespace {

using namespace std::string_literals;
namespace keeper = cluster::keeper;

/// Hands its end of the link to the test and ends when the test says so, with the byte it sends as
/// exit code.
[[noreturn]] void play_supervisor(const std::string& runtime) {
    auto connection = cluster::sys::connect_unix(runtime + "/test.sock");
    if (!connection) ::_exit(120);
    const int link = 3;
    const std::byte greeting{};
    if (!cluster::sys::send_packet(connection->get(), {&greeting, 1}, {&link, 1})) ::_exit(121);
    ::close(link);
    unsigned char code = 0;
    if (::read(connection->get(), &code, 1) < 0) ::_exit(122);
    ::_exit(code);
}

[[noreturn]] void play_keeper(const std::string& runtime) {
    const cluster::place::Directories directories{
        .runtime = runtime, .state = runtime, .log = runtime};
    keeper::ensure_standard_descriptors();
    if (!keeper::claim_descriptors(true)) ::_exit(109);
    auto lock = keeper::take_runtime(directories);
    if (!lock) ::_exit(110);
    auto process = keeper::prepare_process();
    if (!keeper::write_pid_file(directories)) ::_exit(113);
    auto control = keeper::open_control(directories);
    if (!process || !control) ::_exit(111);
    auto opened = keeper::Keeper::open(
        {.directories = directories,
         .supervisor = {.path = runtime + "/" + keeper_test::kSupervisorName,
                        .arguments = {"--marker"}}},
        std::move(*process), {.lock = std::move(*lock), .control = std::move(*control)});
    if (!opened) ::_exit(112);
    ::_exit((*opened)->run());
}

std::string command_line() {
    return cluster::sys::read_file("/proc/self/cmdline", 4096).value_or("");
}

// Before doctest's main gets to run.
const bool has_played = [] {
    const char* runtime = std::getenv(keeper_test::kRuntimeVariable);
    if (runtime == nullptr) return false;
    const std::string line = command_line();
    if (line.find("--keeper-fd=3\0--marker"s) != std::string::npos) play_supervisor(runtime);
    if (line.find(keeper_test::kKeeperArgument) != std::string::npos) play_keeper(runtime);
    return false;
}();

}  // namespace

TEST_CASE("keeper/role: the test itself plays no part") {
    CHECK_FALSE(has_played);
}
