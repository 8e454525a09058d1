// clusterctl version: ours, and the daemon's where one runs.
#include <optional>

#include <fmt/format.h>

#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"
#include "ctl/documents.hpp"
#include "ctl/version.hpp"

namespace cluster::clusterctl {
namespace {

class VersionVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "version",
                .aliases = {},
                .usage = "",
                .summary = "Show the versions of clusterctl and of the daemon"};
    }
    void declare(OptionSink& /*options*/) override {}
    [[nodiscard]] int run(Session& session) override {
        Client client(session.directories());
        std::optional<ctl::VersionAnswer> daemon;
        if (client.try_connect()) daemon = client.version();
        if (session.options().is_json) {
            print(ctl::version_document(daemon));
            return kDone;
        }
        print(fmt::format("clusterctl {}\n", ctl::version()));
        if (daemon) {
            print(fmt::format("clusterd {} (pid {}, supervisor {})\n", daemon->version, daemon->pid,
                              daemon->supervisor_pid));
        } else {
            print("clusterd: not running here (" + session.directories().runtime + ")\n");
        }
        return kDone;
    }
};

}  // namespace

std::unique_ptr<Verb> make_version() {
    return std::make_unique<VersionVerb>();
}

}  // namespace cluster::clusterctl
