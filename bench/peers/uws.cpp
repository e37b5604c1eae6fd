// Publish and subscribe on uWebSockets, at its best: epoll, one thread, no TLS, no compression, and what a turn
// has received is published after it from `Loop::defer` (publishing inside the message handler is up to 25
// times slower, because every message then flushes to every subscriber).
//
// `S name name ..` subscribes and is answered `ok`; `P`, five letters of a name, payload: publishes.
// uws PORT
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "App.h"

struct Connection {};
struct Pending { char topic[5]; unsigned begin, length; };

int main(int, char **argv) {
    uWS::App app;
    std::vector<Pending> pending;
    std::string bytes;
    bool armed = false;
    auto flush = [&]() {
        armed = false;
        for (auto &one : pending) {
            app.publish({one.topic, 5}, std::string_view(bytes).substr(one.begin, one.length), uWS::OpCode::TEXT);
        }
        pending.clear();
        bytes.clear();
    };
    app.ws<Connection>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 1 << 20,
        .idleTimeout = 0,
        .maxBackpressure = 256 << 20,
        .sendPingsAutomatically = false,
        .message = [&](auto *socket, std::string_view message, uWS::OpCode) {
            if (message[0] == 'P') {
                Pending one{{}, unsigned(bytes.size()), unsigned(message.size() - 6)};
                message.copy(one.topic, 5, 1);
                bytes.append(message.substr(6));
                pending.push_back(one);
                if (!armed) {
                    armed = true;
                    uWS::Loop::get()->defer([&]() { flush(); });
                }
                return;
            }
            std::string_view rest = message.substr(1);
            while (!rest.empty()) {
                auto end = rest.find(' ');
                socket->subscribe(rest.substr(0, end));
                if (end == std::string_view::npos) break;
                rest = rest.substr(end + 1);
            }
            socket->send("ok", uWS::OpCode::TEXT);
        }
    }).listen("127.0.0.1", std::atoi(argv[1]), [](auto *socket) { if (!socket) std::exit(1); }).run();
}
