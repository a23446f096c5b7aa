// Browsers refuse to start a Worker from the file system. For pages opened there, this runs the worker's script in a
// hidden frame instead, so that the search works without a server. Elsewhere it does nothing.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.addEventListener("load", () => this.#start(new URL(url, document.baseURI).href), { once: true });
      const attach = () => document.body.append(this.frame);
      document.body ? attach() : addEventListener("DOMContentLoaded", attach, { once: true });
    }

    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.#deliver(data);
    }

    terminate() {
      this.frame.remove();
    }

    #start(url) {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = url;
      script.addEventListener("load", () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.#deliver(data));
      });
      inside.document.head.append(script);
    }

    #deliver(data) {
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
  window.Worker = window.IFrameWorker;
}
