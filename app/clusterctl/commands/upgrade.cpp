// clusterctl upgrade: the daemon goes on as the clusterd that belongs to this clusterctl, or
// another one. No worker notices.
#include <filesystem>

#include <fmt/format.h>

#include "clusterctl/client.hpp"
#include "clusterctl/launch.hpp"
#include "clusterctl/verb.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

class UpgradeVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "upgrade",
                .aliases = {},
                .usage = "[--program PATH]",
                .summary = "Have the daemon go on as another version, unnoticed by workers"};
    }
    void declare(OptionSink& options) override {
        options.value("--program", program_, "PATH",
                      "the clusterd to go on as (default: the one beside this clusterctl)");
    }

    [[nodiscard]] int run(Session& session) override {
        std::error_code error;
        const std::string program =
            program_.empty()
                ? find_daemon()
                : std::filesystem::absolute(program_, error).lexically_normal().string();
        Client client(session.directories());
        client.connect();
        const ctl::VersionAnswer before = client.version();
        client.upgrade(program);
        const ctl::VersionAnswer after = client.version();
        // The keeper stays the process that it is: any other was started because this one died.
        if (after.successions == before.successions || after.pid != before.pid) {
            throw Failure(kFailed, "failed",
                          program + " did not take over; the daemon goes on as it was, and no "
                                    "worker noticed",
                          "the daemon's log says more: " + session.directories().daemon_log());
        }
        if (session.options().is_json) {
            print(ctl::version_document(after));
        } else {
            print(fmt::format("clusterd {} (pid {}) goes on as {} (pid {}), {}\n", before.version,
                              before.pid, after.version, after.pid, program));
        }
        return kDone;
    }

private:
    std::string program_;
};

}  // namespace

std::unique_ptr<Verb> make_upgrade() {
    return std::make_unique<UpgradeVerb>();
}

}  // namespace cluster::clusterctl
