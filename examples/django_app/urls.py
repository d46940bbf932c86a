"""Routes of the Django example."""

from __future__ import annotations

from django.urls import path
from django_app import views

urlpatterns = [
    path("chat", views.chat),
    path("chat/stream", views.stream),
    path("sessions/<str:session_id>/chat", views.chat),
]
