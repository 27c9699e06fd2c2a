from flask import Flask

from bookshop.admin.views import views
from bookshop.db import create_tables


def create_app() -> Flask:
    app = Flask(__name__)
    create_tables()
    app.register_blueprint(views)
    return app
