// clusterctl status: one row per instance, and one line about the daemon.
#include "clusterctl/client.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class StatusVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "status",
                .aliases = {"ls", "list", "ps"},
                .usage = "[SELECTOR…]",
                .summary = "Show workers and the daemon (also: ls, list, ps)"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to show: api, api.0, @site, api*, all");
    }
    [[nodiscard]] int run(Session& session) override {
        Client client(session.directories());
        client.connect();
        if (session.options().is_json) {
            print(ctl::status_document(client.status(selectors_)));
        } else {
            print(render_status(client.status(selectors_, status_fields()), session.view()));
        }
        return kDone;
    }

private:
    std::vector<std::string> selectors_;
};

}  // namespace

std::unique_ptr<Verb> make_status() {
    return std::make_unique<StatusVerb>();
}

}  // namespace cluster::clusterctl
