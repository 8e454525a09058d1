// clusterctl restart: a new run of each instance, whatever runs now.
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class Restart final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "restart",
                .aliases = {},
                .usage = "[options] SELECTOR…",
                .summary = "Stop and start workers again"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to restart: api, api.0, @site, api*, all");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        return change_selected(session, selectors_, ctl::request::Restart{selectors_}, wait_,
                               Shown{}, "clusterctl restart api");
    }

private:
    std::vector<std::string> selectors_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_restart() {
    return std::make_unique<Restart>();
}

}  // namespace cluster::clusterctl
