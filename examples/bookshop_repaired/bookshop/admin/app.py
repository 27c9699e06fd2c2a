from flask import Flask

from bookshop.admin.views import views
from bookshop.db import ScopedSession, create_tables


def create_app() -> Flask:
    app = Flask(__name__)
    create_tables()
    app.register_blueprint(views)

    @app.teardown_appcontext
    def remove_session(_: BaseException | None) -> None:
        ScopedSession.remove()

    return app
