// clusterctl reset: forgets the failures of instances; what waited or had given up is tried at
// once.
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class ResetVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "reset",
                .aliases = {},
                .usage = "[options] SELECTOR…",
                .summary = "Forget restarts, backoff and having given up"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "Whose: api, api.0, @site, api*, all");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        return change_selected(session, selectors_, ctl::request::Reset{selectors_}, wait_,
                               Shown{.names = worker_names(selectors_)}, "clusterctl reset api");
    }

private:
    /// The workers that selectors name outright: an instance whose counters alone were cleared is
    /// not part of the operation.
    static std::vector<std::string> worker_names(const std::vector<std::string>& selectors) {
        std::vector<std::string> names;
        for (const std::string& selector : selectors) {
            names.push_back(selector.substr(0, selector.rfind('.')));
        }
        return names;
    }

    std::vector<std::string> selectors_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_reset() {
    return std::make_unique<ResetVerb>();
}

}  // namespace cluster::clusterctl
