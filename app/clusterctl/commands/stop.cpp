// clusterctl stop: takes instances down and keeps them down.
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class Stop final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "stop",
                .aliases = {},
                .usage = "[options] SELECTOR…",
                .summary = "Stop workers and keep them down"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to stop: api, api.0, @site, api*, all");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        return change_selected(session, selectors_, ctl::request::Stop{selectors_}, wait_, Shown{},
                               "clusterctl stop api");
    }

private:
    std::vector<std::string> selectors_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_stop() {
    return std::make_unique<Stop>();
}

}  // namespace cluster::clusterctl
