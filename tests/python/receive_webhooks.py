"""Receives webhooks and judges them with `standardwebhooks`, a library that is not ours.

    receive_webhooks.py PORT SECRET

Answers 204 to a message whose signature, id and time it accepts and prints `OK ID BODY`, else 401
and prints what is wrong. Runs until it is ended.
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    webhook = Webhook(sys.argv[2])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            self.webhook.verify(body, dict(self.headers.items()))
        except WebhookVerificationError as error:
            print(f"WRONG {error}", flush=True)
            self.send_response(401)
        else:
            print(f"OK {self.headers['webhook-id']} {body.decode()}", flush=True)
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
